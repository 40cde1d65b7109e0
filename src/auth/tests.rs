use std::collections::BTreeSet;

use super::*;
use crate::{
    auth::api_keys::hash,
    clock::{SystemClock, testing::Frozen},
    config::{ApiKey, Permission},
};

fn entry(caller: &str, key: &str) -> ApiKey {
    ApiKey {
        caller: caller.to_owned(),
        sha256: vec![hash(key)],
        permissions: BTreeSet::from([Permission::Admin]),
        queues: Vec::new(),
        max_priority: None,
        requests_per_minute: Some(2),
    }
}

fn auth(mode: AuthMode, api_keys: Vec<ApiKey>) -> Auth {
    Auth { mode, api_keys, api_keys_file: None, oidc: None }
}

fn keyring(auth: &Auth) -> Keyring {
    Keyring::new(auth, 10, Arc::new(SystemClock)).unwrap()
}

async fn name(keyring: &Keyring, credentials: Credentials<'_>) -> Result<String, Denied> {
    let identity = keyring.identify(credentials).await?;
    Ok(identity.caller().name.as_str().to_owned())
}

#[tokio::test]
async fn without_credentials_demanded_everybody_is_anonymous_and_may_do_everything() {
    let keyring = keyring(&auth(AuthMode::None, vec![entry("crm", "k")]));
    for credentials in [Credentials::None, Credentials::Bearer("x"), Credentials::Unreadable] {
        let identity = keyring.identify(credentials).await.unwrap();
        assert_eq!(identity.caller().name.as_str(), "anonymous");
        assert_eq!(identity.lacks(Permission::ALL), []);
        assert_eq!(identity.caller().limits, crate::transfer::Limits::default());
        assert_eq!(keyring.count(&identity), Ok(()));
    }
}

#[tokio::test]
async fn only_a_known_key_gets_in() {
    let keyring = keyring(&auth(AuthMode::Required, vec![entry("crm", "gxt_a")]));
    assert_eq!(name(&keyring, Credentials::Bearer("gxt_a")).await.as_deref(), Ok("crm"));
    assert_eq!(name(&keyring, Credentials::None).await, Err(Denied::Missing));
    let long = "a".repeat(MAX_CREDENTIAL + 1);
    for wrong in ["gxt_b", "", "gxt_A", " gxt_a", "a.b.c", &long] {
        let denied = name(&keyring, Credentials::Bearer(wrong)).await;
        assert!(matches!(denied, Err(Denied::Invalid(_))), "{denied:?}");
    }
    let denied = name(&keyring, Credentials::Unreadable).await;
    assert!(matches!(denied, Err(Denied::Invalid(_))));
}

#[tokio::test]
async fn a_megabyte_of_token_is_refused_unread() {
    let oidc = crate::config::Oidc {
        issuer: "http://127.0.0.1:1".to_owned(),
        issuer_url: "http://127.0.0.1:1".parse().unwrap(),
        audience: "transfer".to_owned(),
        max_lifetime: Duration::from_hours(24),
    };
    let keyring = keyring(&Auth { oidc: Some(oidc), ..auth(AuthMode::Required, vec![]) });
    let token = format!("{}.e30.AA", "a".repeat(1024 * 1024));
    let denied = name(&keyring, Credentials::Bearer(&token)).await;
    assert_eq!(denied, Err(Denied::Invalid("longer than 8 KiB")));
    assert_eq!(keyring.troubles().len(), 1);
}

fn file_text(caller: &str, key: &str) -> String {
    let hex = keygen::hex(&hash(key));
    format!(
        "[[api_keys]]\ncaller = '{caller}'\nsha256 = ['{hex}']\npermissions = ['admin']\n\
         requests_per_minute = 2\n"
    )
}

#[tokio::test]
async fn a_changed_file_lets_new_keys_in_and_old_ones_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    std::fs::write(&path, file_text("crm", "old")).unwrap();
    let keyring = keyring(&Auth {
        api_keys_file: Some(path.clone()),
        ..auth(AuthMode::Required, vec![entry("crm", "old")])
    });
    std::fs::write(&path, file_text("crm", "new")).unwrap();

    keyring.read_file();

    assert!(name(&keyring, Credentials::Bearer("old")).await.is_err());
    assert_eq!(name(&keyring, Credentials::Bearer("new")).await.as_deref(), Ok("crm"));
}

#[tokio::test]
async fn a_broken_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    std::fs::write(&path, "[[api_keys]\n").unwrap();
    let keyring = keyring(&Auth {
        api_keys_file: Some(path),
        ..auth(AuthMode::Required, vec![entry("crm", "old")])
    });

    keyring.read_file();

    assert_eq!(name(&keyring, Credentials::Bearer("old")).await.as_deref(), Ok("crm"));
}

/// A keyring on a file that holds the key `old`; what becomes of the file is up to the test.
fn on_file(path: &std::path::Path) -> Keyring {
    std::fs::write(path, file_text("crm", "old")).unwrap();
    keyring(&Auth {
        api_keys_file: Some(path.to_owned()),
        ..auth(AuthMode::Required, vec![entry("crm", "old")])
    })
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_read_for_a_minute_is_a_trouble_until_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    for broken in [Some("api_keys = []"), Some("[[api_keys]"), None] {
        let keyring = on_file(&path);
        match broken {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        for _ in 0..59 {
            tokio::time::advance(Duration::from_secs(1)).await;
            keyring.read_file();
        }
        assert_eq!(keyring.troubles(), Vec::<String>::new(), "{broken:?}");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(keyring.troubles().len(), 1, "{broken:?}");
        assert_eq!(name(&keyring, Credentials::Bearer("old")).await.as_deref(), Ok("crm"));

        std::fs::write(&path, file_text("crm", "new")).unwrap();
        keyring.read_file();

        assert_eq!(keyring.troubles(), Vec::<String>::new(), "{broken:?}");
        assert_eq!(name(&keyring, Credentials::Bearer("new")).await.as_deref(), Ok("crm"));
    }
}

/// What a hanging file system does: the look does not return.
#[tokio::test(start_paused = true)]
async fn a_file_that_hangs_holds_up_nobody_and_is_a_trouble_after_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    let keyring = on_file(&path);
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let (held, is_held) = std::sync::mpsc::channel();
    let (let_go, may_go) = std::sync::mpsc::channel::<()>();
    let same = keyring.clone();
    let hangs = std::thread::spawn(move || {
        let _look = same.0.file.as_ref().unwrap().lock().unwrap();
        held.send(()).unwrap();
        may_go.recv().unwrap();
    });
    is_held.recv().unwrap();
    std::fs::write(&path, file_text("crm", "new")).unwrap();
    keyring.keep_current(&tracker, &stop);

    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    assert_eq!(keyring.troubles().len(), 1);
    assert_eq!(name(&keyring, Credentials::Bearer("old")).await.as_deref(), Ok("crm"));
    let_go.send(()).unwrap();
    hangs.join().unwrap();
    while name(&keyring, Credentials::Bearer("new")).await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(keyring.troubles(), Vec::<String>::new());
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test]
async fn the_file_is_followed_in_the_background() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    std::fs::write(&path, file_text("crm", "new")).unwrap();
    let keyring = keyring(&Auth {
        api_keys_file: Some(path),
        ..auth(AuthMode::Required, vec![entry("crm", "old")])
    });
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());

    let clock = Frozen::now();
    keyring.keep_current(&tracker, &stop);
    clock.passes(Duration::from_secs(5)).await;

    // It is read on a thread of its own, which takes its time; so does each of these steps.
    let seen = async {
        while name(&keyring, Credentials::Bearer("new")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), seen);
    clock.passes_until(Duration::ZERO, seen).await.expect("the new key gets in");
    stop.cancel();
    tracker.close();
    tracker.wait().await;
}

#[tokio::test(start_paused = true)]
async fn requests_are_counted_per_caller_and_across_a_change_of_keys() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.toml");
    std::fs::write(&path, file_text("crm", "new")).unwrap();
    let keyring = keyring(&Auth {
        api_keys_file: Some(path),
        ..auth(AuthMode::Required, vec![entry("crm", "old")])
    });
    let old = keyring.identify(Credentials::Bearer("old")).await.unwrap();
    assert_eq!(keyring.count(&old), Ok(()));
    keyring.read_file();
    let new = keyring.identify(Credentials::Bearer("new")).await.unwrap();
    assert_eq!(keyring.count(&new), Ok(()));
    assert_eq!(keyring.count(&new), Err(Duration::from_mins(1)));
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(keyring.count(&new), Ok(()));
}
