//! The shared token over sockets.

use super::*;

#[tokio::test]
async fn fifty_cold_calls_cause_one_token_request() {
    let upstream = upstream(|_| None).await;
    let gateway = gateway(&upstream);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.conversation(&ctx(), conversation_id()).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().is_ok());
    }
    assert_eq!(upstream.count("POST", "/oauth/token"), 1);
    assert_eq!(upstream.count("GET", "/conversations/"), 50);
}

#[tokio::test]
async fn the_token_request_is_spelt_as_oauth_spells_it() {
    let upstream = upstream(|_| None).await;
    gateway(&upstream).conversation(&ctx(), conversation_id()).await.unwrap();
    let all = upstream.all();
    assert_eq!(all[0].body, "grant_type=client_credentials");
    assert_eq!(all[0].header("content-type").unwrap(), "application/x-www-form-urlencoded");
    assert_eq!(all[0].header("authorization").unwrap(), "Basic Y2xpZW50LTE6c2VjcmV0LTE=");
    assert_eq!(all[1].header("authorization").unwrap(), "Bearer t");
    assert!(all[1].header("user-agent").unwrap().starts_with("genesys-transfer/"));
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_for_fifty_calls() {
    let upstream = upstream(|seen| match seen.path.as_str() {
        "/oauth/token" => Some(Act::json(200, &token(&format!("t{}", seen.before), 86_400))),
        _ if seen.header("authorization")? == "Bearer t0" => Some(Act::json(401, &json!({}))),
        _ => None,
    })
    .await;
    let gateway = gateway(&upstream);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { send(&gateway, &ctx(), &command()).await })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap(), Sent::Taken(_)));
    }
    assert_eq!(upstream.count("POST", "/oauth/token"), 2);
}

#[tokio::test]
async fn a_second_401_ends_the_call() {
    let upstream =
        upstream(|seen| seen.path.starts_with("/api").then(|| Act::json(401, &json!({})))).await;
    let gateway = gateway(&upstream);
    let sent = send(&gateway, &ctx(), &command()).await;
    assert!(matches!(sent, Sent::NotSent(GatewayError::CredentialsRejected(Some(_)))), "{sent:?}");
    assert_eq!(upstream.count("POST", "/replace/queue"), 2);
    assert_eq!(upstream.count("POST", "/oauth/token"), 2);
}

#[tokio::test]
async fn refused_credentials_are_not_tried_again_at_once() {
    let refusal = json!({"error": "invalid_client", "description": "client not found"});
    let upstream =
        upstream(move |seen| (seen.path == "/oauth/token").then(|| Act::json(400, &refusal))).await;
    let gateway = gateway(&upstream);
    for _ in 0..5 {
        let read = gateway.conversation(&ctx(), conversation_id()).await;
        let Err(GatewayError::CredentialsRejected(Some(answer))) = read else { panic!("{read:?}") };
        assert_eq!(answer.code.as_deref(), Some("invalid_client"));
    }
    assert_eq!(upstream.count("POST", "/oauth/token"), 1);
    assert_eq!(upstream.count("GET", ""), 0);
    assert!(gateway.troubles().iter().any(|trouble| trouble.contains("invalid_client")));
}

#[tokio::test]
async fn a_token_request_that_fails_in_passing_is_repeated() {
    let upstream =
        upstream(|seen| (seen.path == "/oauth/token" && seen.before < 2).then(|| Act::empty(503)))
            .await;
    let read = gateway(&upstream).conversation(&ctx(), conversation_id()).await;
    assert!(read.is_ok(), "{read:?}");
    assert_eq!(upstream.count("POST", "/oauth/token"), 3);
}

#[tokio::test]
async fn a_caller_who_leaves_does_not_end_the_fetch_for_the_others() {
    let upstream = upstream(|_| None).await;
    let gateway = gateway(&upstream);
    let first = gateway.clone();
    let impatient =
        tokio::spawn(async move { first.conversation(&ctx(), conversation_id()).await });
    tokio::task::yield_now().await;
    impatient.abort();
    assert!(gateway.conversation(&ctx(), conversation_id()).await.is_ok());
    assert_eq!(upstream.count("POST", "/oauth/token"), 1);
}

#[tokio::test]
async fn a_private_key_sends_an_assertion_and_no_basic_header() {
    let upstream = upstream(|_| None).await;
    let key = SecretString::from(include_str!("../credentials/keys/ec.pem"));
    let settings = config::Genesys { private_key: Some(key), ..settings() };
    gateway_with(&upstream, &settings).conversation(&ctx(), conversation_id()).await.unwrap();
    let request = &upstream.all()[0];
    assert_eq!(request.header("authorization"), None);
    assert!(request.body.contains("client_assertion="), "{}", request.body);
}

#[tokio::test]
async fn a_token_that_does_not_say_how_long_it_lives_is_used_and_shared() {
    for lifetime in [Value::Null, json!("soon"), json!(1e30)] {
        let granted = json!({"access_token": "t", "expires_in": lifetime});
        let upstream =
            upstream(move |seen| seen.is("POST", "/oauth/").then(|| Act::json(200, &granted)))
                .await;
        let gateway = gateway(&upstream);
        for _ in 0..2 {
            let read = gateway.conversation(&ctx(), conversation_id()).await;
            assert!(read.is_ok(), "{lifetime}: {read:?}");
        }
        assert_eq!(upstream.count("POST", "/oauth/token"), 1, "{lifetime}");
    }
}
