//! The simple properties of an XMP packet: attributes of a description, elements with text, and
//! elements that refer to a resource.
//!
//! Invariants: found wherever they stand, so that a property inside a structure is found too; names
//! are compared by namespace, whatever the prefix. What it is not: RDF.

use super::found::Fault;
use super::xml;

const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";

/// One value of one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) value: String,
}

/// Every property with a value, in order. Items of a list are values of the property that holds it.
pub(super) fn properties(packet: &[u8]) -> Result<Vec<Property>, Fault> {
    // Writers pad packets with spaces, some with zeroes.
    let end = packet.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let elements = xml::elements(&packet[..end])?;
    let mut properties = Vec::new();
    let mut push = |name: &xml::Name, value: &str| {
        properties.push(Property {
            namespace: name.namespace.clone(),
            name: name.local.clone(),
            value: value.trim().to_owned(),
        });
    };
    for element in &elements {
        let mut holder = element;
        while holder.name.namespace == RDF {
            let Some(parent) = holder.parent else { break };
            holder = &elements[parent];
        }
        for (name, value) in &element.attributes {
            let refers = name.is(RDF, "resource") || name.is(RDF, "value");
            push(if refers { &holder.name } else { name }, value);
        }
        if !element.text.is_empty() {
            push(&holder.name, &element.text);
        }
    }
    Ok(properties)
}
