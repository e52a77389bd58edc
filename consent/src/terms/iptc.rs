//! `plus:DataMining` of the PLUS licence data format and the IPTC Photo Metadata Standard 2023.1,
//! in a picture's XMP.
//!
//! | value `DMI-…` | refuses |
//! |---|---|
//! | `PROHIBITED` | every use |
//! | `PROHIBITED-AIMLTRAINING` | training |
//! | `PROHIBITED-GENAIMLTRAINING` | training of generative models |
//! | `PROHIBITED-EXCEPTSEARCHENGINEINDEXING` | every use but the index |
//! | `PROHIBITED-SEE…` | nothing outright; every use is constrained |
//! | `ALLOWED` | nothing; permits mining and training |
//! | `UNSPECIFIED` | nothing |
//!
//! Invariants: a value that is not in the table makes the picture unreadable, and so do XMP that is
//! no XML and a picture that is cut off; of several values the strictest counts. What it is not: a
//! reader of the older IPTC-IIM records, which have no such field.

use super::container;
use super::found::{Fault, Found};
use super::scheme::Scheme;
use super::term::{Term, all};
use super::xmp;
use crate::use_atom::{Use, Value};

const VERSION: &str = "plus-2.0.1";
const NAMESPACE: &str = "http://ns.useplus.org/ldf/xmp/1.0";
const WHAT: &str = "plus:DataMining";

/// Reads a picture's own words.
pub fn read(picture: &[u8]) -> Found {
    let terms = container::metadata(picture).and_then(|metadata| {
        let terms: Vec<Vec<Term>> =
            metadata.xmp.iter().map(|packet| packet_terms(packet)).collect::<Result<_, _>>()?;
        Ok(terms.into_iter().flatten().collect())
    });
    Found::of(Scheme::Iptc, terms)
}

/// Reads one XMP packet.
pub fn read_xmp(packet: &[u8]) -> Found {
    Found::of(Scheme::Iptc, packet_terms(packet))
}

fn packet_terms(packet: &[u8]) -> Result<Vec<Term>, Fault> {
    let properties = xmp::properties(packet)?;
    let in_plus = |name: &'static str| {
        properties.iter().filter(move |property| {
            property.name == name && property.namespace.trim_end_matches(['/', '#']) == NAMESPACE
        })
    };
    let constraints: Vec<String> =
        in_plus("OtherConstraints").map(|property| property.value.clone()).collect();
    let terms = in_plus("DataMining").map(|property| {
        let rules = rules(&property.value)?;
        let term = Term::new(Scheme::Iptc, VERSION, &property.value, rules);
        Ok(term.qualified(constraints.clone()))
    });
    terms.collect()
}

fn rules(value: &str) -> Result<Vec<(Use, Value)>, Fault> {
    let unknown = || Fault::value(WHAT, value);
    let code = value.rsplit('/').next().unwrap_or_default().trim();
    let code = code.strip_prefix("DMI-").ok_or_else(unknown)?;
    let (uses, said): (&[Use], Value) = match code {
        "UNSPECIFIED" => (&[], Value::Unset),
        "ALLOWED" => (&[Use::TrainGenerative, Use::TrainOther, Use::Mine], Value::Allow),
        "PROHIBITED-AIMLTRAINING" => (&Use::TRAINING, Value::Deny),
        "PROHIBITED-GENAIMLTRAINING" => (&[Use::TrainGenerative], Value::Deny),
        "PROHIBITED-EXCEPTSEARCHENGINEINDEXING" => (
            &[
                Use::TrainGenerative,
                Use::TrainOther,
                Use::Mine,
                Use::Ground,
                Use::Archive,
                Use::Evaluate,
            ],
            Value::Deny,
        ),
        "PROHIBITED" => (&Use::ALL, Value::Deny),
        "PROHIBITED-SEECONSTRAINT"
        | "PROHIBITED-SEEEMBEDDEDRIGHTSEXPR"
        | "PROHIBITED-SEELINKEDRIGHTSEXPR" => (&Use::ALL, Value::Constrained),
        _ => return Err(unknown()),
    };
    Ok(all(uses, said).collect())
}

#[cfg(test)]
mod tests {
    use super::container::tests::{jpeg_with, png_with, webp_with, xmp_segment};
    use super::*;

    fn packet(inner: &str) -> Vec<u8> {
        format!(
            "<?xpacket begin='\u{feff}' id='W5M0MpCehiHzreSzNTczkc9d'?><x:xmpmeta xmlns:x='adobe:ns:meta/'>\
             <rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
             <rdf:Description rdf:about='' xmlns:p='http://ns.useplus.org/ldf/xmp/1.0/' {inner}\
             </rdf:RDF></x:xmpmeta>   <?xpacket end='w'?>"
        )
        .into_bytes()
    }

    fn said(code: &str) -> Vec<u8> {
        packet(&format!("p:DataMining='http://ns.useplus.org/ldf/vocab/DMI-{code}'/>"))
    }

    #[test]
    fn the_table() {
        use Value::{Allow, Constrained, Deny, Unset};
        for (code, expected) in [
            ("UNSPECIFIED", [Unset, Unset, Unset, Unset]),
            ("ALLOWED", [Allow, Allow, Unset, Unset]),
            ("PROHIBITED-AIMLTRAINING", [Deny, Deny, Unset, Unset]),
            ("PROHIBITED-GENAIMLTRAINING", [Deny, Unset, Unset, Unset]),
            ("PROHIBITED-EXCEPTSEARCHENGINEINDEXING", [Deny, Deny, Deny, Unset]),
            ("PROHIBITED", [Deny, Deny, Deny, Deny]),
            ("PROHIBITED-SEECONSTRAINT", [Constrained; 4]),
            ("PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", [Constrained; 4]),
            ("PROHIBITED-SEELINKEDRIGHTSEXPR", [Constrained; 4]),
            ("LATER", [Deny; 4]),
        ] {
            let found = read_xmp(&said(code));
            let uses = [Use::TrainGenerative, Use::TrainOther, Use::Ground, Use::Index];
            assert_eq!(uses.map(|atom| found.value(atom)), expected, "{code}");
        }
    }

    #[test]
    fn each_way_to_write_it() {
        let uri = "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED";
        for inner in [
            format!("><p:DataMining>{uri}</p:DataMining></rdf:Description>"),
            format!("><p:DataMining rdf:resource='{uri}'/></rdf:Description>"),
            format!(
                "><p:DataMining><rdf:Bag><rdf:li>{uri}</rdf:li></rdf:Bag></p:DataMining></rdf:Description>"
            ),
            format!(
                "><p:DataMining rdf:parseType='Resource'><rdf:value>{uri}</rdf:value></p:DataMining>\
                     </rdf:Description>"
            ),
            "><p:DataMining>DMI-PROHIBITED</p:DataMining></rdf:Description>".to_owned(),
        ] {
            assert!(read_xmp(&packet(&inner)).value(Use::Evaluate) == Value::Deny, "{inner}");
        }
        let terms = read_xmp(&packet(
            "p:DataMining='DMI-PROHIBITED-SEECONSTRAINT' p:OtherConstraints='ask me'/>",
        ));
        assert_eq!(terms.terms()[0].qualifiers, ["ask me"]);
        let other = packet("xmlns:q='http://example.org/' q:DataMining='DMI-PROHIBITED'/>");
        assert_eq!(read_xmp(&other), Found::Nothing);
    }

    #[test]
    fn in_pictures() {
        let xmp = said("PROHIBITED");
        let itxt = [b"XML:com.adobe.xmp\0\0\0\0\0", &xmp[..]].concat();
        let deny = |picture: &[u8]| read(picture).value(Use::TrainOther) == Value::Deny;
        assert!(deny(&jpeg_with(&[xmp_segment(&xmp)])));
        assert!(deny(&png_with(&[(b"iTXt", itxt)])));
        assert!(deny(&webp_with(&[(b"XMP ", xmp.clone())])));
        assert!(deny(&[b"GIF89a", &xmp[..]].concat()));
        assert_eq!(read(&jpeg_with(&[])), Found::Nothing);
        assert!(deny(&jpeg_with(&[xmp_segment(b"<x")])));
        assert!(deny(&jpeg_with(&[xmp_segment(&xmp)])[..40]));
    }
}
