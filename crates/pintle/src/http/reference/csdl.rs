//! The metadata of OData: entity sets and types in CSDL 4.0, as XML.

use pintle_model::shapes::{alert, domain, domain_stats, file, file_stats, ip, ip_stats, machine, user};
use pintle_model::{Kind, Member, Part, Shape};

const NAMESPACE: &str = "microsoft.windowsDefenderATP.api";

/// A set, its entities and their key.
struct EntitySet {
    name: &'static str,
    shape: &'static Shape,
    key: &'static str,
}

static SETS: &[EntitySet] = &[
    EntitySet { name: "Alerts", shape: &alert::SHAPE, key: "id" },
    EntitySet { name: "Machines", shape: &machine::SHAPE, key: "id" },
    EntitySet { name: "Files", shape: &file::SHAPE, key: "sha1" },
    EntitySet { name: "Users", shape: &user::SHAPE, key: "id" },
    EntitySet { name: "Domains", shape: &domain::SHAPE, key: "host" },
    EntitySet { name: "Ips", shape: &ip::SHAPE, key: "id" },
];

/// What is in no set.
static STATISTICS: &[&Shape] = &[&file_stats::SHAPE, &domain_stats::SHAPE, &ip_stats::SHAPE];

/// The document. All of it is names that are declared in the code, so nothing has to be escaped.
pub(super) fn csdl() -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices>\n",
    );
    text.push_str(&format!(
        "<Schema Namespace=\"{NAMESPACE}\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">\n"
    ));
    for set in SETS {
        let key = format!("<Key><PropertyRef Name=\"{}\"/></Key>\n", set.key);
        write_type("EntityType", set.shape, Some((set.key, &key)), &mut text);
    }
    for shape in complex() {
        write_type("ComplexType", shape, None, &mut text);
    }
    text.push_str("<EntityContainer Name=\"Container\">\n");
    for EntitySet { name, shape, .. } in SETS {
        text.push_str(&format!("<EntitySet Name=\"{name}\" EntityType=\"{NAMESPACE}.{}\"/>\n", shape.name));
    }
    text.push_str("</EntityContainer>\n</Schema>\n</edmx:DataServices></edmx:Edmx>\n");
    text
}

/// The types that are in no set: statistics, and what entities have in them. Those have no parts themselves.
fn complex() -> Vec<&'static Shape> {
    let parts = SETS.iter().flat_map(|set| set.shape.members).filter_map(|member| match member.of {
        Some(Part::Shape(shape)) => Some(shape),
        _ => None,
    });
    let mut found: Vec<&Shape> = STATISTICS.to_vec();
    for part in parts {
        let is_known = SETS.iter().any(|set| set.shape.name == part.name)
            || found.iter().any(|shape| shape.name == part.name);
        if !is_known {
            found.push(part);
        }
    }
    found
}

fn write_type(element: &str, shape: &Shape, key: Option<(&str, &str)>, text: &mut String) {
    text.push_str(&format!("<{element} Name=\"{}\">\n{}", shape.name, key.map_or("", |key| key.1)));
    for member in shape.members {
        // A key is never null in CSDL, whatever the data.
        let is_nullable = member.is_nullable && key.is_none_or(|key| key.0 != member.name);
        let nullable = if is_nullable { "" } else { " Nullable=\"false\"" };
        text.push_str(&format!(
            "<Property Name=\"{}\" Type=\"{}\"{nullable}/>\n",
            member.name,
            type_of(member)
        ));
    }
    text.push_str(&format!("</{element}>\n"));
}

fn type_of(member: &Member) -> String {
    let part = match member.of {
        Some(Part::Shape(shape)) => format!("{NAMESPACE}.{}", shape.name),
        Some(Part::Texts) | None => "Edm.String".to_owned(),
    };
    match member.kind {
        Kind::Text => "Edm.String".to_owned(),
        Kind::Int if member.is_short => "Edm.Int32".to_owned(),
        Kind::Int => "Edm.Int64".to_owned(),
        Kind::Bool => "Edm.Boolean".to_owned(),
        Kind::Time => "Edm.DateTimeOffset\" Precision=\"7".to_owned(),
        Kind::List => format!("Collection({part})"),
        Kind::Object => part,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;

    /// Every element's name with its attributes, by name.
    fn elements(text: &str) -> Vec<(String, Vec<(String, String)>)> {
        let mut reader = Reader::from_str(text);
        let mut found = Vec::new();
        loop {
            match reader.read_event().unwrap() {
                Event::Start(element) | Event::Empty(element) => {
                    let attribute = |attribute: quick_xml::events::attributes::Attribute<'_>| {
                        (attribute.key.as_ref().to_owned(), attribute.value.into_owned())
                    };
                    let name = element.name().as_ref().to_owned();
                    found.push((name, element.attributes().map(|one| attribute(one.unwrap())).collect()));
                }
                Event::Eof => return found,
                _ => {}
            }
        }
    }

    #[test]
    fn it_is_xml_in_which_every_type_that_is_named_is_declared() {
        let text = csdl();
        let elements = elements(&text);
        let of = |name: &str, attribute: &str| -> Vec<String> {
            let of_name = elements.iter().filter(|(element, _)| element == name);
            let values = of_name.flat_map(|(_, attributes)| attributes);
            values.filter(|(key, _)| key == attribute).map(|(_, value)| value.clone()).collect()
        };
        assert_eq!(of("EntitySet", "Name"), ["Alerts", "Machines", "Files", "Users", "Domains", "Ips"]);
        let declared: Vec<String> = [of("EntityType", "Name"), of("ComplexType", "Name")].concat();
        assert_eq!(declared.iter().collect::<BTreeSet<_>>().len(), declared.len(), "{declared:?}");
        let named = [of("Property", "Type"), of("EntitySet", "EntityType")].concat();
        for name in named {
            let name =
                name.strip_prefix("Collection(").and_then(|name| name.strip_suffix(')')).unwrap_or(&name);
            let edm = ["Edm.String", "Edm.Int32", "Edm.Int64", "Edm.Boolean", "Edm.DateTimeOffset"];
            let own = name.strip_prefix("microsoft.windowsDefenderATP.api.");
            assert!(
                edm.contains(&name) || own.is_some_and(|own| declared.iter().any(|it| it == own)),
                "{name}"
            );
        }
        for expected in [
            r#"<Property Name="rbacGroupId" Type="Edm.Int32"/>"#,
            r#"<Property Name="sha1" Type="Edm.String" Nullable="false"/>"#,
            r#"<Property Name="lastSeen" Type="Edm.DateTimeOffset" Precision="7"/>"#,
            r#"<Property Name="machineTags" Type="Collection(Edm.String)" Nullable="false"/>"#,
            r#"<Property Name="vmMetadata" Type="microsoft.windowsDefenderATP.api.VmMetadata"/>"#,
        ] {
            assert!(text.contains(expected), "{expected}");
        }
    }
}
