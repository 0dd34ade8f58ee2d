//! Sections of watched folders.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::After;

const EXPORTS: &str = r#"
[watch.exports]
path = "/var/spool/exports"
tenant = "acme"
format = "mde-streaming"
pattern = "*.json*"
recursive = false
poll = "2s"
settle = "1m"
after = "move"
move_to = "/var/spool/done"
finished_after = "2h"
"#;

#[test]
fn a_section_is_read_whole_and_shown_as_it_was() {
    let config = load(EXPORTS);
    let watch = &config.watch["exports"];
    assert_eq!((watch.path.as_path(), watch.tenant.as_str()), (Path::new("/var/spool/exports"), "acme"));
    assert_eq!((watch.format.as_deref(), watch.recursive), (Some("mde-streaming"), false));
    let minute = Duration::from_secs(60);
    assert_eq!((watch.poll, watch.settle, watch.finished_after), (minute / 30, minute, minute * 120));
    assert_eq!(watch.after, After::Move("/var/spool/done".into()));
    assert!(watch.pattern.matches(Path::new("a.json.gz")) && !watch.pattern.matches(Path::new("a.txt")));
    assert_eq!(load(&watch.show("exports")), config);
}

#[test]
fn only_the_path_is_needed() {
    let config = load("[watch.logs]\npath = \"/var/log/remote\"\n");
    let watch = &config.watch["logs"];
    assert_eq!((watch.tenant.as_str(), &watch.format, &watch.after), ("default", &None, &After::Keep));
    assert!(watch.recursive && watch.pattern.matches(Path::new("anything")));
    assert_eq!(load(&watch.show("logs")), config);
}

#[test]
fn what_is_wrong_with_a_section_is_said_with_its_remedy() {
    let with = |wrong: &str, right: &str| EXPORTS.replacen(right, wrong, 1);
    for (file, expected) in [
        (
            with("", "path = \"/var/spool/exports\""),
            "watch.exports.path is not set: it is the folder to watch",
        ),
        (with("\"spool\"", "\"/var/spool/exports\""), "watch.exports.path: spool is not absolute"),
        (with("\"a/b\"", "\"*.json*\""), "watch.exports.pattern: expected a pattern of names"),
        (with("\"[\"", "\"*.json*\""), "watch.exports.pattern: expected a pattern of names"),
        (with("\"burn\"", "\"move\""), "watch.exports.after: expected \"keep\", \"delete\" or \"move\""),
        (with("", "move_to = \"/var/spool/done\""), "watch.exports.after: move needs the folder move_to"),
        (with("\"keep\"", "\"move\""), "watch.exports.move_to: counts only with after = \"move\""),
        (with("\"/var/spool/exports/x\"", "\"/var/spool/done\""), "or in the folder that is watched"),
        (with("\"1ms\"", "\"2s\""), "watch.exports.poll: expected at least 100ms"),
        (with("formats", "format"), "unknown key watch.exports.formats, did you mean watch.exports.format"),
        (with("[watches.exports]", "[watch.exports]"), "did you mean [watch.NAME]"),
        ("[watch]\nlogs = 7\n".to_owned(), "watch.logs is a section: write [watch.logs]"),
        (EXPORTS.to_owned() + &with("[watch.again]", "[watch.exports]"), "has it already"),
    ] {
        let problems = problems(&file, &[]);
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
}
