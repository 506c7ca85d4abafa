use crate::config::{ConfigErrors, describe};

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<KafkaAccess, ConfigErrors> {
    let brokers = [("BROKERS", "kafka.example.org:9092")];
    let pairs = brokers.iter().chain(pairs).map(|(key, value)| (format!("FITTRACK_KAFKA_{key}"), *value));
    let mut source = Source::from_pairs(pairs);
    let access = KafkaAccess::required(&mut source);
    source.finish().map(|()| access)
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    read(pairs).unwrap_err().to_string()
}

const LOGIN: [(&str, &str); 2] = [("USER", "query-api"), ("PASSWORD", "marker-4711")];

fn with_login(security: &'static str) -> Vec<(&'static str, &'static str)> {
    [("SECURITY", security)].into_iter().chain(LOGIN).collect()
}

#[test]
fn nothing_but_brokers_is_plaintext_as_nobody() {
    let access = read(&[]).unwrap();
    assert_eq!(access, KafkaAccess::plaintext("kafka.example.org:9092"));
    let config = access.config();
    assert_eq!((config.get("security.protocol"), config.get("sasl.username")), (Some("plaintext"), None));
    assert_eq!(access.user(), "nobody");
    assert_eq!(KafkaAccess::read(&mut Source::from_pairs([("", "")]), &KAFKA_BROKERS.not_required()), None);
}

#[test]
fn a_login_and_authorities_reach_the_client() {
    let mut pairs = with_login("sasl_tls");
    pairs.push(("CA", "-----BEGIN CERTIFICATE-----"));
    let config = read(&pairs).unwrap().config();
    for (key, value) in [
        ("bootstrap.servers", "kafka.example.org:9092"),
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", "query-api"),
        ("sasl.password", "marker-4711"),
        ("ssl.ca.pem", "-----BEGIN CERTIFICATE-----"),
        ("enable.ssl.certificate.verification", "true"),
        ("ssl.endpoint.identification.algorithm", "https"),
    ] {
        assert_eq!(config.get(key), Some(value), "{key}");
    }
    pairs.push(("SASL_MECHANISM", "SCRAM-SHA-256"));
    assert_eq!(read(&pairs).unwrap().config().get("sasl.mechanism"), Some("SCRAM-SHA-256"));
}

#[test]
fn a_password_may_be_a_file_and_is_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "marker-4711\n").unwrap();
    let pairs = [("SECURITY", "sasl_tls"), ("USER", "query-api"), ("PASSWORD_FILE", file.path().to_str().unwrap())];
    let access = read(&pairs).unwrap();
    assert_eq!(access.config().get("sasl.password"), Some("marker-4711"));
    assert!(!format!("{access:?}").contains("4711"), "{access:?}");
    // Nor in a refusal that is about it.
    assert!(!refusal(&LOGIN).contains("4711"));
    assert!(describe(&[PASSWORD]).contains("secret; give it as a file"));
}

#[test]
fn what_makes_no_sense_together_is_refused_by_name() {
    for (pairs, said) in [
        (
            &[("SECURITY", "ssl")][..],
            "FITTRACK_KAFKA_SECURITY: `ssl` cannot be used: it is plaintext, tls, sasl_plaintext or sasl_tls",
        ),
        (
            &[("SECURITY", "sasl_tls"), ("PASSWORD", "x")],
            "FITTRACK_KAFKA_USER: is required with FITTRACK_KAFKA_SECURITY=sasl_tls",
        ),
        (
            &[("SECURITY", "sasl_plaintext"), ("USER", "x")],
            "FITTRACK_KAFKA_PASSWORD: is required with FITTRACK_KAFKA_SECURITY=sasl_plaintext",
        ),
        (&[("USER", "x")], "FITTRACK_KAFKA_USER: is set, but FITTRACK_KAFKA_SECURITY=plaintext names no user"),
        (
            &[("SECURITY", "tls"), ("PASSWORD", "x")],
            "FITTRACK_KAFKA_PASSWORD: is set, but FITTRACK_KAFKA_SECURITY=tls names no user",
        ),
        (&[("SASL_MECHANISM", "PLAIN")], "FITTRACK_KAFKA_SASL_MECHANISM: is set, but"),
        (&[("CA", "x")], "FITTRACK_KAFKA_CA: is set, but FITTRACK_KAFKA_SECURITY=plaintext checks no certificate"),
        (
            &[("SECURITY", "sasl_tls"), ("USER", "x"), ("PASSWORD", "x"), ("SASL_MECHANISM", "GSSAPI")],
            "it is SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN",
        ),
        (
            &[("SECURITY", "sasl_tls"), ("USER", "x"), ("PASSWORD", "secret")],
            "FITTRACK_KAFKA_PASSWORD: has the secret of the example",
        ),
    ] {
        let refusal = refusal(pairs);
        assert!(refusal.contains(said) && refusal.lines().count() == 2, "{refusal}");
    }
    // All of it at once.
    let refusal = refusal(&[("SECURITY", "sasl_plaintext"), ("CA", "x")]);
    for name in ["KAFKA_USER", "KAFKA_PASSWORD", "KAFKA_CA"] {
        assert!(refusal.contains(name), "{refusal}");
    }
}

#[test]
fn what_strangers_can_read_is_said_unless_it_stays_here_or_is_a_trial() {
    let at = |brokers: &str, pairs: &[(&str, &str)]| {
        let mut access = read(pairs).unwrap();
        access.brokers = brokers.to_owned();
        access.exposed()
    };
    let sasl = with_login("sasl_plaintext");
    let plain: Vec<_> = sasl.iter().copied().chain([("SASL_MECHANISM", "PLAIN")]).collect();
    for (brokers, pairs, said) in [
        ("kafka:9092", &[][..], Some("as nobody")),
        ("127.0.0.1:9092,kafka:9092", &[], Some("as nobody")),
        ("kafka:9092", &sasl, Some("reads all events")),
        ("kafka:9092", &plain, Some("password included")),
        ("kafka:9092", &[("SECURITY", "tls")], None),
        ("kafka:9092", &with_login("sasl_tls"), None),
        ("127.0.0.1:9092, localhost:9093,[::1]:9094", &[], None),
        ("localhost", &plain, None),
    ] {
        let exposed = at(brokers, pairs);
        assert_eq!(exposed.is_some(), said.is_some(), "{brokers} {exposed:?}");
        assert!(exposed.unwrap_or_default().contains(said.unwrap_or_default()), "{brokers}");
    }
    let trial = [("FITTRACK_KAFKA_BROKERS", "kafka:9092"), ("FITTRACK_DEV", "true")];
    let access = KafkaAccess::required(&mut Source::from_pairs(trial));
    assert_eq!(access.exposed(), None);
}
