use std::net::SocketAddr;

use super::*;

const URL: Setting = Setting::required("FITTRACK_URL", "the database", "postgres://localhost/x").secret();
const LIMIT: Setting = Setting::with_default("FITTRACK_LIMIT", "10", "how many", "20");
const BROKERS: Setting = Setting::optional("FITTRACK_BROKERS", "brokers", "localhost:9092");

fn nothing() -> [(&'static str, &'static str); 0] {
    []
}

#[test]
fn what_was_given_is_printed_without_its_values() {
    let printed = format!("{:?}", Source::from_pairs([("FITTRACK_URL", "postgres://u:hush@db/x")]));
    assert!(printed.contains("FITTRACK_URL") && !printed.contains("hush"), "{printed}");
}

#[test]
fn the_environment_wins_over_the_settings_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings");
    std::fs::write(&file, "# comment\n\nFITTRACK_LIMIT = 5\nFITTRACK_BROKERS=\"a:1,b:2\"\nFITTRACK_URL_FILE=/absent\n")
        .unwrap();
    let mut source = Source::from_pairs([
        ("FITTRACK_SETTINGS_FILE", file.to_str().unwrap()),
        ("FITTRACK_LIMIT", "7"),
        ("FITTRACK_URL", "postgres://here"),
    ]);
    assert_eq!(source.parsed(&LIMIT, 0), 7);
    assert_eq!(source.optional(&BROKERS).as_deref(), Some("a:1,b:2"));
    assert_eq!(source.secret(&URL).expose(), "postgres://here");
    source.finish().unwrap();
}

#[test]
fn a_secret_may_be_given_as_a_file_and_loses_its_last_newline() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("url");
    std::fs::write(&file, "postgres://secret\n").unwrap();
    let mut source = Source::from_pairs([("FITTRACK_URL_FILE", file.to_str().unwrap())]);
    assert_eq!(source.secret(&URL).expose(), "postgres://secret");
    source.finish().unwrap();
}

#[test]
fn every_problem_is_reported_at_once_with_an_example() {
    let mut source = Source::from_pairs([("FITTRACK_LIMIT", "many"), ("FITTRACK_LIMITS", "1"), ("OTHER", "x")]);
    source.required(&URL);
    source.parsed(&LIMIT, 0);
    let errors = source.finish().unwrap_err();
    let text = errors.to_string();
    assert_eq!(errors.0.len(), 3, "{text}");
    assert!(text.contains("FITTRACK_URL: is required and not set (for example FITTRACK_URL=postgres://localhost/x)"));
    assert!(text.contains("FITTRACK_LIMIT: `many` cannot be used"));
    assert!(text.contains("FITTRACK_LIMITS: is not a setting of this process; did you mean FITTRACK_LIMIT?"));
}

#[test]
fn a_refused_secret_is_not_shown() {
    let secret_number = LIMIT.secret();
    let mut source = Source::from_pairs([("FITTRACK_LIMIT", "hunter2")]);
    source.parsed(&secret_number, 0);
    assert!(!source.finish().unwrap_err().to_string().contains("hunter2"));
    assert_eq!(format!("{:?} {}", Secret::new("hunter2"), Secret::new("hunter2")), "Secret(***) ***");
}

#[test]
fn a_value_given_directly_and_as_a_file_is_refused_once() {
    let mut source = Source::from_pairs([("FITTRACK_URL", "a"), ("FITTRACK_URL_FILE", "/b")]);
    source.required(&URL);
    let errors = source.finish().unwrap_err();
    assert_eq!(errors.0.len(), 1, "{errors}");
    assert!(errors.to_string().contains("given twice"));
}

#[test]
fn names_of_tests_the_command_line_and_service_links_are_tolerated() {
    let source = Source::from_pairs([
        ("FITTRACK_TEST_POSTGRES_URL", "x"),
        ("FITTRACK_DIR", "x"),
        ("FITTRACK_COMMAND_API_SERVICE_HOST", "10.0.0.1"),
        ("FITTRACK_COMMAND_API_PORT_80_TCP", "tcp://10.0.0.1:80"),
    ]);
    source.finish().unwrap();
}

#[test]
fn a_setting_of_another_subcommand_is_accepted_when_declared() {
    let mut source = Source::from_pairs([("FITTRACK_BROKERS", "x"), ("FITTRACK_URL_FILE", "/x")]);
    source.knows(&[BROKERS, URL]);
    source.finish().unwrap();
}

#[test]
fn absent_settings_take_their_defaults_and_an_empty_value_is_absent() {
    let mut source = Source::from_pairs([("FITTRACK_BROKERS", "")]);
    assert_eq!(source.optional(&BROKERS), None);
    assert_eq!(source.parsed(&LIMIT, 0), 10);
    assert_eq!(source.parsed(&LISTEN, SocketAddr::from(([0, 0, 0, 0], 1))), "127.0.0.1:8400".parse().unwrap());
    source.finish().unwrap();
    Source::from_pairs(nothing()).finish().unwrap();
}

#[test]
fn a_broken_settings_file_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("settings");
    std::fs::write(&file, "FITTRACK_LIMIT=5\nhunter2\n").unwrap();
    let source = Source::from_pairs([("FITTRACK_SETTINGS_FILE", file.to_str().unwrap())]);
    let text = source.finish().unwrap_err().to_string();
    assert!(text.contains("line 2"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn the_description_is_one_table_row_a_setting() {
    let table = describe(&[URL, LIMIT]);
    assert!(table.contains(
        "| `FITTRACK_URL_FILE` | required | the database (secret; give it as a file) | `/run/secrets/value` |"
    ));
    assert!(table.contains("| `FITTRACK_LIMIT` | `10` | how many | `20` |"));
}
