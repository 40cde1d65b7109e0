//! The keys beside this file were made for these tests and open nothing.

use std::collections::{HashMap, HashSet};

use jsonwebtoken::{DecodingKey, Validation};
use serde::Deserialize;

use super::*;
use crate::{clock::ManualClock, genesys::tests::settings};

#[derive(Debug, Deserialize)]
struct Read {
    iss: String,
    sub: String,
    jti: String,
    iat: i64,
    exp: i64,
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new("2026-11-22T12:00:00Z".parse().unwrap()))
}

fn with_key(pem: &str) -> Result<ClientCredentials, SetupError> {
    let key = Some(SecretString::from(pem.to_owned()));
    ClientCredentials::new(&config::Genesys { private_key: key, ..settings() }, clock())
}

fn url() -> Url {
    Url::parse("https://login.example.org/oauth/token").unwrap()
}

fn form(credentials: &ClientCredentials) -> HashMap<String, String> {
    let request = credentials.token_request(&url()).unwrap();
    url::form_urlencoded::parse(request.form.as_bytes()).into_owned().collect()
}

fn claims(assertion: &str, key: &DecodingKey, algorithm: Algorithm) -> Read {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[url().as_str()]);
    validation.validate_exp = false;
    jsonwebtoken::decode::<Read>(assertion, key, &validation).unwrap().claims
}

fn check(pem: &str, public: &DecodingKey, algorithm: Algorithm) {
    let credentials = with_key(pem).unwrap();
    let form = form(&credentials);
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_assertion_type"], ASSERTION_TYPE);
    let claims = claims(&form["client_assertion"], public, algorithm);
    assert_eq!((claims.iss.as_str(), claims.sub.as_str()), ("client-1", "client-1"));
    assert!(claims.exp > claims.iat && claims.exp - claims.iat <= 300);
    assert!(credentials.token_request(&url()).unwrap().authorization.is_none());
}

#[test]
fn a_p256_key_signs_es256() {
    let public = DecodingKey::from_ec_pem(include_bytes!("keys/ec.pub.pem")).unwrap();
    check(include_str!("keys/ec.pem"), &public, Algorithm::ES256);
}

#[test]
fn an_rsa_key_signs_rs256_in_either_form() {
    let public = DecodingKey::from_rsa_pem(include_bytes!("keys/rsa.pub.pem")).unwrap();
    check(include_str!("keys/rsa.pem"), &public, Algorithm::RS256);
    check(include_str!("keys/rsa1.pem"), &public, Algorithm::RS256);
}

#[test]
fn each_assertion_has_an_id_of_its_own() {
    let public = DecodingKey::from_ec_pem(include_bytes!("keys/ec.pub.pem")).unwrap();
    let credentials = with_key(include_str!("keys/ec.pem")).unwrap();
    let ids: HashSet<String> = (0..100)
        .map(|_| claims(&form(&credentials)["client_assertion"], &public, Algorithm::ES256).jti)
        .collect();
    assert_eq!(ids.len(), 100);
}

#[test]
fn keys_that_cannot_sign_are_refused_at_start() {
    for pem in [
        include_str!("keys/ec384.pem"),
        include_str!("keys/sec1.pem"),
        include_str!("keys/ec.pub.pem"),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        "not a key",
        "",
    ] {
        assert_eq!(with_key(pem).err(), Some(SetupError::BadKey), "{pem}");
    }
}

#[test]
fn a_secret_goes_into_a_sensitive_basic_header() {
    let credentials = ClientCredentials::new(&settings(), clock()).unwrap();
    let request = credentials.token_request(&url()).unwrap();
    let header = request.authorization.unwrap();
    assert_eq!(header, format!("Basic {}", STANDARD.encode("client-1:secret-1")));
    assert!(header.is_sensitive());
    assert_eq!(request.form, "grant_type=client_credentials");
    assert_eq!(format!("{credentials:?} {header:?}"), "Secret Sensitive");
}

#[test]
fn missing_credentials_are_named() {
    let no_id = config::Genesys { client_id: None, ..settings() };
    assert_eq!(ClientCredentials::new(&no_id, clock()).err(), Some(SetupError::NoClientId));
    let no_secret = config::Genesys { client_secret: None, ..settings() };
    assert_eq!(ClientCredentials::new(&no_secret, clock()).err(), Some(SetupError::NoSecret));
}
