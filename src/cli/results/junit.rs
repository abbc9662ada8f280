//! The report as JUnit's XML, which every CI system shows: a suite for the run, a case an image.

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::document::{Document, Failure, ReportedImage, Status};
use crate::cli::ui::concealed;
use hod_oci::Reference;

type Xml = Writer<Vec<u8>>;

/// Renders the report.
pub(super) fn render(document: &Document) -> Result<Vec<u8>, io::Error> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let failed = count(document, Status::Failed) + count(document, Status::Waiting);
    // A run that was refused has failed, even without a failed image.
    let errors = usize::from(document.error.is_some() && failed == 0);
    let skipped = [Status::Planned, Status::NotTried, Status::NotDone];
    let skipped: usize = skipped.map(|status| count(document, status)).iter().sum();
    let tests = document.images.len() + errors;
    let numbers = [
        ("tests", tests.to_string()),
        ("failures", failed.to_string()),
        ("errors", errors.to_string()),
        ("skipped", skipped.to_string()),
        ("time", format!("{:.3}", document.moved.seconds)),
    ];
    let numbers = || numbers.iter().map(|(name, value)| (*name, value.as_str()));
    let name = format!("hod {}", document.verb);
    xml.create_element("testsuites")
        .with_attribute(("name", name.as_str()))
        .with_attributes(numbers())
        .write_inner_content(|xml| {
            xml.create_element("testsuite")
                .with_attribute(("name", document.verb))
                .with_attributes(numbers())
                .write_inner_content(|xml| cases(xml, document, errors > 0))?;
            Ok(())
        })?;
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    Ok(bytes)
}

fn count(document: &Document, status: Status) -> usize {
    let images = document.images.iter();
    images.filter(|image| image.status == status).count()
}

fn cases(xml: &mut Xml, document: &Document, is_refused: bool) -> io::Result<()> {
    if let Some(error) = document.error.as_ref().filter(|_| is_refused) {
        let name = format!("hod {}", document.verb);
        xml.create_element("testcase")
            .with_attribute(("classname", "hod"))
            .with_attribute(("name", name.as_str()))
            .write_inner_content(|xml| failure(xml, "error", error))?;
    }
    document
        .images
        .iter()
        .try_for_each(|image| case(xml, image))
}

fn case(xml: &mut Xml, image: &ReportedImage) -> io::Result<()> {
    let time = format!("{:.3}", image.seconds.unwrap_or_default());
    let (place, name) = (clean(&place(image)), clean(&image.image));
    xml.create_element("testcase")
        .with_attribute(("classname", place.as_str()))
        .with_attribute(("name", name.as_str()))
        .with_attribute(("time", time.as_str()))
        .write_inner_content(|xml| {
            properties(xml, image)?;
            match (&image.error, image.status) {
                (Some(error), _) => failure(xml, "failure", error)?,
                (None, Status::Planned | Status::NotTried | Status::NotDone) => {
                    xml.create_element("skipped")
                        .with_attribute(("message", image.status.as_str()))
                        .write_empty()?;
                }
                (None, _) => {}
            }
            Ok(())
        })?;
    Ok(())
}

/// The destination of an image, or its source if it has none: `target/repository`, or only the
/// latter if the target is not known.
fn place(image: &ReportedImage) -> String {
    if let (Some(target), Some(destination)) = (&image.at, &image.destination) {
        let repository = destination
            .rsplit_once(':')
            .map_or(&**destination, |(name, _)| name);
        return format!("{target}/{repository}");
    }
    match image.image.parse::<Reference>() {
        Ok(reference) => match reference.registry {
            Some(registry) => format!("{registry}/{}", reference.repository),
            None => reference.repository.to_string(),
        },
        Err(_) => image.image.clone(),
    }
}

fn properties(xml: &mut Xml, image: &ReportedImage) -> io::Result<()> {
    let text = |value: &Option<hod_oci::Digest>| value.as_ref().map(ToString::to_string);
    let properties = [
        ("status", Some(image.status.as_str().to_owned())),
        ("destination", image.destination.clone()),
        ("digest", text(&image.digest)),
        ("original_digest", text(&image.original_digest)),
        ("bytes", Some(image.bytes.to_string())),
        ("referrers", Some(image.referrers.to_string())),
    ];
    let warnings = image
        .warnings
        .iter()
        .map(|text| ("warning", Some(text.clone())));
    xml.create_element("properties")
        .write_inner_content(|xml| {
            for (name, value) in properties.into_iter().chain(warnings) {
                if let Some(value) = value {
                    xml.create_element("property")
                        .with_attribute(("name", name))
                        .with_attribute(("value", clean(&value).as_str()))
                        .write_empty()?;
                }
            }
            Ok(())
        })?;
    Ok(())
}

/// `failure` or `error`: the class as its type, what happened, and what to do as its text.
fn failure(xml: &mut Xml, element: &str, failure: &Failure) -> io::Result<()> {
    let message = clean(&failure.message);
    let text = match &failure.hint {
        Some(hint) => format!("{message}\n\nhint: {}", clean(hint)),
        None => message.clone(),
    };
    xml.create_element(element)
        .with_attribute(("type", failure.class.as_str()))
        .with_attribute(("message", message.as_str()))
        .write_text_content(BytesText::new(&text))?;
    Ok(())
}

/// The text without the characters that XML 1.0 cannot have, however they are escaped.
fn clean(text: &str) -> String {
    let is_legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    concealed(text)
        .chars()
        .map(|c| if is_legal(c) { c } else { '\u{fffd}' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Amounts;
    use super::super::document::{Document, Failure, ReportedImage, Status};
    use super::*;
    use crate::cli::ui::Totals;
    use hod_report::ErrorClass;

    #[test]
    fn whatever_a_text_holds_the_document_is_xml() {
        let nasty = "<a b='\"&\">]]>\u{1b}[2J\0\u{fffe}\r\n\u{7f}é&#0;";
        let error = Failure {
            class: ErrorClass::Server,
            message: nasty.to_owned(),
            hint: Some(nasty.to_owned()),
        };
        let image = ReportedImage {
            image: nasty.to_owned(),
            at: None,
            destination: Some(nasty.to_owned()),
            status: Status::Failed,
            digest: None,
            original_digest: None,
            bytes: 7,
            referrers: 0,
            seconds: Some(1.5),
            warnings: vec![nasty.to_owned()],
            error: Some(error),
        };
        let moved = Amounts::from(Totals::default());
        let document = Document::of_images("pull", (moved, vec![image]));
        let xml = String::from_utf8(render(&document).unwrap()).unwrap();
        let mut reader = quick_xml::Reader::from_str(&xml);
        let mut n_events = 0;
        let mut message = None;
        loop {
            match reader.read_event().unwrap() {
                Event::Eof => break,
                Event::Start(element) if element.name().as_ref() == "failure" => {
                    let found = element.try_get_attribute("message").unwrap().unwrap();
                    let version = quick_xml::XmlVersion::Explicit1_0;
                    message = Some(found.normalized_value(version).unwrap().into_owned());
                }
                _ => {}
            }
            n_events += 1;
        }
        assert!(n_events > 10);
        let shown = message.unwrap();
        assert!(
            shown.starts_with("<a b='\"&\">]]>\u{fffd}[2J\u{fffd}\u{fffd}"),
            "{shown}"
        );
        assert!(shown.ends_with("é&#0;"), "{shown}");
        let illegal = |c: char| {
            (c.is_control() && !matches!(c, '\t' | '\r' | '\n' | '\u{7f}')) || c == '\u{fffe}'
        };
        assert!(!xml.contains(illegal), "{xml}");
    }
}
