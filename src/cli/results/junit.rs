//! The report as JUnit's XML, which every CI system shows: a suite for the run, a case an image.

use std::fmt::Write as _;

use super::document::{Document, Failure, ReportedImage, Status};
use crate::cli::ui::concealed;
use hod_oci::Reference;

/// Renders the report.
pub(super) fn render(document: &Document) -> String {
    let failed = count(document, Status::Failed) + count(document, Status::Waiting);
    // A run that was refused has failed, even without a failed image.
    let refusal = document.error.as_ref().filter(|_| failed == 0);
    let errors = usize::from(refusal.is_some());
    let skipped = [Status::Planned, Status::NotTried, Status::NotDone];
    let skipped: usize = skipped.map(|status| count(document, status)).iter().sum();
    let numbers = format!(
        r#"tests="{}" failures="{failed}" errors="{errors}" skipped="{skipped}" time="{:.3}""#,
        document.images.len() + errors,
        document.moved.seconds,
    );
    let verb = document.verb;
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"hod {verb}\" {numbers}>\n  \
         <testsuite name=\"{verb}\" {numbers}>\n"
    );
    if let Some(error) = refusal {
        let content = failure("error", error);
        push(
            &mut xml,
            format_args!(
                "    <testcase classname=\"hod\" name=\"hod {verb}\">\n{content}    </testcase>\n"
            ),
        );
    }
    for image in &document.images {
        case(&mut xml, image);
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

fn push(xml: &mut String, text: std::fmt::Arguments<'_>) {
    xml.write_fmt(text).expect("a String takes any text");
}

fn count(document: &Document, status: Status) -> usize {
    let images = document.images.iter();
    images.filter(|image| image.status == status).count()
}

fn case(xml: &mut String, image: &ReportedImage) {
    push(
        xml,
        format_args!(
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">\n",
            escaped(&place(image)),
            escaped(&image.image),
            image.seconds.unwrap_or_default(),
        ),
    );
    properties(xml, image);
    match (&image.error, image.status) {
        (Some(error), _) => xml.push_str(&failure("failure", error)),
        (None, Status::Planned | Status::NotTried | Status::NotDone) => {
            let status = image.status.as_str();
            push(xml, format_args!("      <skipped message=\"{status}\"/>\n"));
        }
        (None, _) => {}
    }
    xml.push_str("    </testcase>\n");
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

fn properties(xml: &mut String, image: &ReportedImage) {
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
    xml.push_str("      <properties>\n");
    for (name, value) in properties.into_iter().chain(warnings) {
        if let Some(value) = value {
            let value = escaped(&value);
            push(
                xml,
                format_args!("        <property name=\"{name}\" value=\"{value}\"/>\n"),
            );
        }
    }
    xml.push_str("      </properties>\n");
}

/// `failure` or `error`: the class as its type, what happened, and what to do as its text.
fn failure(element: &str, failure: &Failure) -> String {
    let (class, message) = (failure.class, escaped(&failure.message));
    let hint = failure.hint.as_ref();
    let hint = hint.map_or_else(String::new, |hint| format!("\n\nhint: {}", escaped(hint)));
    format!("      <{element} type=\"{class}\" message=\"{message}\">{message}{hint}</{element}>\n")
}

/// The text as a value or content of XML 1.0, without secrets, and without the characters that XML
/// cannot have, however they are escaped.
fn escaped(text: &str) -> String {
    let mut xml = String::new();
    for c in concealed(text).chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            // As they are, they would be read as blanks.
            '\t' | '\n' | '\r' => push(&mut xml, format_args!("&#{};", u32::from(c))),
            ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => xml.push(c),
            _ => xml.push('\u{fffd}'),
        }
    }
    xml
}

#[cfg(test)]
mod tests {
    use super::super::amounts::Amounts;
    use super::super::document::{Document, Failure, ReportedImage, Status};
    use super::*;
    use crate::cli::ui::Totals;
    use hod_report::ErrorClass;
    use quick_xml::events::Event;

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
        let document = Document::of_images("pull", moved, vec![image]);
        let xml = render(&document);
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
