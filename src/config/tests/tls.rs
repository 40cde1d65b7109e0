//! Certificates that are not right refuse the start, with the key, its source and what is expected.

use super::*;

fn with(cert: &str, key: &str) -> Result<Settings, ConfigErrors> {
    load(&[("SERVER_TLS_CERT", cert), ("SERVER_TLS_KEY", key)])
}

fn refused(cert: &str, key: &str) -> String {
    with(cert, key).unwrap_err().to_string()
}

#[test]
fn a_certificate_with_its_key_is_taken() {
    let settings = with(&fixture("tls-cert.pem"), &fixture("tls-key.pem")).unwrap();
    assert_eq!(settings.server.tls.unwrap().certified.cert.len(), 1);
    assert!(load(&[]).unwrap().server.tls.is_none());
}

#[test]
fn one_of_the_two_is_refused() {
    let (cert, key) = (fixture("tls-cert.pem"), fixture("tls-key.pem"));
    let without_key = refused(&cert, "");
    assert!(
        without_key.starts_with("server.tls_key (not set): missing; expected"),
        "{without_key}"
    );
    let without_cert = refused("", &key);
    assert!(without_cert.starts_with("server.tls_cert (not set): missing;"), "{without_cert}");
}

#[test]
fn files_that_are_no_identity_are_refused_with_their_key_and_source() {
    let (cert, key) = (fixture("tls-cert.pem"), fixture("tls-key.pem"));
    let other = fixture("ec-private.pem");
    let broken =
        File::new("broken.pem", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n");
    let rubbish =
        File::new("rubbish.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (cert, key, wrong, expected) in [
        ("/no/such", key.as_str(), "server.tls_cert", "cannot be read: No such file"),
        (&cert, "/no/such", "server.tls_key", "cannot be read: No such file"),
        ("/", &key, "server.tls_cert", "is not a regular file"),
        (&key, &key, "server.tls_cert", "it holds none"),
        (&cert, &cert, "server.tls_key", "it holds none"),
        (&cert, &other, "server.tls_key", "expected the private key of the certificate"),
        (broken.name(), &key, "server.tls_cert", "malformed"),
        (rubbish.name(), &key, "server.tls_cert", "malformed"),
    ] {
        let said = refused(cert, key);
        let source = format!("{wrong} ({} in the environment): ", keys::variable(wrong));
        assert!(said.starts_with(&source) && said.contains(expected), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

#[test]
fn a_key_given_in_place_of_its_path_is_not_shown() {
    let pem = std::fs::read_to_string(fixture("tls-key.pem")).unwrap();
    let canary = pem.lines().nth(1).unwrap();
    for text in [pem.clone(), pem.replace('\n', "\\n")] {
        let said = refused(&fixture("tls-cert.pem"), &text);
        assert!(said.contains("the path of a PEM file, not its text"), "{said}");
        assert!(!said.contains(&canary[..20]), "{said}");
    }
}

#[test]
fn where_a_service_listens_is_read_even_when_its_files_are_gone() {
    let vars: Vars<'_> = [("SERVER_TLS_CERT", "/no/such"), ("SERVER_BIND", "0.0.0.0:7000")].into();
    let listening = Listening::load(&Args::default(), &vars).unwrap();
    assert_eq!(listening, Listening { bind: "0.0.0.0:7000".parse().unwrap(), tls: true });
}
