//! XML as a flat list of elements with their ancestors' names, for RSL and XMP.
//!
//! Invariants: no document type, and so no entities but the five of XML; namespaces are resolved;
//! depth, size and the number of elements are bounded; a document that is cut off is refused.
//! What it is not: a validator.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

use protocol::limits::{TERMS_DEPTH_MAX, TERMS_DOCUMENT_BYTES_MAX, TERMS_RULES_MAX};

use super::found::{Fault, bounded};

/// A name with its namespace, empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) namespace: String,
    pub(super) local: String,
}

impl Name {
    pub(super) fn is(&self, namespace: &str, local: &str) -> bool {
        self.namespace == namespace && self.local == local
    }
}

/// An element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: Name,
    pub(super) attributes: Vec<(Name, String)>,
    /// Its own text, without its children's and without white space around it.
    pub(super) text: String,
    pub(super) parent: Option<usize>,
}

impl Element {
    /// An attribute without a namespace.
    pub(super) fn attribute(&self, local: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(name, _)| name.is("", local));
        found.map(|(_, value)| value.as_str())
    }
}

/// The elements in document order; a parent stands before its children.
pub(super) fn elements(bytes: &[u8]) -> Result<Vec<Element>, Fault> {
    bounded(bytes, TERMS_DOCUMENT_BYTES_MAX)?;
    let text = std::str::from_utf8(bytes).map_err(malformed)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = NsReader::from_str(text);
    let (mut elements, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    loop {
        let event = reader.read_event().map_err(malformed)?;
        match event {
            Event::Start(start) => {
                let parent = open.last().copied();
                open.push(elements.len());
                elements.push(element(&reader, &start, parent)?);
            }
            Event::Empty(start) => elements.push(element(&reader, &start, open.last().copied())?),
            Event::End(_) => {
                open.pop();
            }
            Event::Text(said) => append(&mut elements, &open, &said.xml10_content()),
            Event::CData(said) => append(&mut elements, &open, &said.xml10_content()),
            Event::GeneralRef(name) => {
                let known = match &*name {
                    "amp" => Some('&'),
                    "lt" => Some('<'),
                    "gt" => Some('>'),
                    "quot" => Some('"'),
                    "apos" => Some('\''),
                    _ => name.resolve_char_ref().map_err(malformed)?,
                };
                let letter = known.ok_or_else(|| malformed(format!("the entity {:?}", &*name)))?;
                append(&mut elements, &open, letter.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(malformed("it has a document type")),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => (),
            Event::Eof => break,
        }
        if open.len() > TERMS_DEPTH_MAX || elements.len() > TERMS_RULES_MAX {
            return Err(Fault::TooMany(TERMS_RULES_MAX, "elements, or nested too deep"));
        }
    }
    if !open.is_empty() || elements.is_empty() {
        return Err(malformed("it is cut off"));
    }
    for element in &mut elements {
        element.text = element.text.trim().to_owned();
    }
    Ok(elements)
}

fn append(elements: &mut [Element], open: &[usize], text: &str) {
    if let Some(element) = open.last().and_then(|at| elements.get_mut(*at)) {
        element.text.push_str(text);
    }
}

fn element(
    reader: &NsReader<&[u8]>,
    start: &BytesStart<'_>,
    parent: Option<usize>,
) -> Result<Element, Fault> {
    let (namespace, local) = reader.resolver().resolve_element(start.name());
    let name = name(&namespace, local.into_inner())?;
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(malformed)?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(malformed)?;
        attributes.push((self::name(&namespace, local.into_inner())?, value.into_owned()));
    }
    Ok(Element { name, attributes, text: String::new(), parent })
}

fn name(namespace: &ResolveResult<'_>, local: &str) -> Result<Name, Fault> {
    let namespace = match namespace {
        ResolveResult::Bound(namespace) => namespace.into_inner().to_owned(),
        ResolveResult::Unbound => String::new(),
        ResolveResult::Unknown(prefix) => return Err(malformed(format!("the prefix {prefix:?}"))),
    };
    Ok(Name { namespace, local: local.to_owned() })
}

fn malformed(why: impl ToString) -> Fault {
    Fault::malformed("XML", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn elements_with_names_and_text() {
        let text = r#"<?xml version="1.0"?><a xmlns="u" xmlns:b="v" b:c="1 &amp; 2"><b:d>x&lt;<![CDATA[&]]></b:d></a>"#;
        let found = elements(text.as_bytes()).expect("XML");
        assert!(found[0].name.is("u", "a") && found[1].name.is("v", "d"));
        assert_eq!(found[0].attributes[0].1, "1 & 2");
        assert_eq!((found[1].text.as_str(), found[1].parent), ("x<&", Some(0)));
        let deep = "<a>".repeat(1_000) + &"</a>".repeat(1_000);
        for broken in [
            "",
            "text",
            "<a>",
            "<a></b>",
            "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
            "<a>&e;</a>",
            "<p:a/>",
            "<a b='&e;'/>",
            "<a b='1' b='2'/>",
            "<a>&#0;</a>",
            deep.as_str(),
        ] {
            assert!(elements(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..100),
            like in "(</?[ab:]{0,3}( [ab:]{1,3}='[&;#a1]{0,3}')?/?>|[&;#a1x]{0,3}|<!|--|]]>){0,12}") {
            let _ = (elements(&bytes), elements(like.as_bytes()));
        }
    }
}
