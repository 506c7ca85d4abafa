//! Signing keys change while requests run: nobody is refused, here or by a service that only reads the published set.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use command_api::{identity::tokens::Grant, key_file::KeyFile};
use fittrack_domain::ids::AthleteId;
use fittrack_runtime::{
    auth::{JwksSource, Verifier},
    clock,
    keys::{SigningKey, SigningKeys},
    private::Readiness,
    server::{self, ServerLimits},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{Client, World, eventually, served};

/// As a deployment does it: a new file over the old one.
fn write(path: &std::path::Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn kids(client: &Client) -> Vec<String> {
    let answer = client.get("/.well-known/jwks.json").answer().await;
    answer.body["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_while_requests_run_and_none_is_refused() {
    let world = World::new().await;
    let life = CancellationToken::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing-key.pem");
    let (old, new) = (world.key_pem.clone(), SigningKey::generate_pem().unwrap());
    let kid = |pem: &str| SigningKeys::from_pem(pem).unwrap().signing().kid().to_owned();
    write(&path, &old);
    let file = KeyFile::new(path.clone()).every(Duration::from_millis(20));
    tokio::spawn(file.follow(world.app.clone(), life.clone()));

    let listener = server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let url = format!("http://{}/.well-known/jwks.json", listener.local_addr().unwrap());
    let router = served(&world.app);
    tokio::spawn(server::serve(listener, router, ServerLimits::default(), life.clone()));
    let reader = Verifier::new(JwksSource::Url(url), "https://fittrack.local", "fittrack").unwrap();
    let check = Readiness::new().check("signing keys");
    tokio::spawn(reader.clone().keep_fresh(check.clone(), life.clone()));
    eventually("the reader knows the key", async || check.is_ready()).await;

    // Old tokens and new ones, here and at the reader, all the time.
    let (stop, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let ann = world.athlete("ann").await;
    let load = {
        let (app, ann, reader, stop, requests) =
            (world.app.clone(), ann.clone(), reader.clone(), Arc::clone(&stop), Arc::clone(&requests));
        tokio::spawn(async move {
            let grant = Grant::of_session(AthleteId(ann.athlete_id), Uuid::new_v4());
            while !stop.load(Ordering::Acquire) {
                let token = app.tokens.issue(&grant, clock::now()).unwrap();
                reader.verify(&token).await.unwrap();
                reader.verify(ann.token()).await.unwrap();
                for client in [ann.clone(), ann.with_token(&token)] {
                    assert_eq!(client.get("/v1/account/sessions").answer().await.status, 200);
                }
                requests.fetch_add(1, Ordering::AcqRel);
            }
        })
    };
    let some_requests = async || {
        let before = requests.load(Ordering::Acquire);
        eventually("requests go on", async || load.is_finished() || requests.load(Ordering::Acquire) > before + 5)
            .await;
        assert!(!load.is_finished(), "a request was refused");
    };
    let nobody = world.anonymous();
    some_requests().await;
    write(&path, &format!("{old}{new}"));
    eventually("the next key is published", async || kids(&nobody).await == [kid(&old), kid(&new)]).await;
    some_requests().await;
    // What cannot be used changes nothing.
    write(&path, "half a key");
    some_requests().await;
    write(&path, &format!("{new}{old}"));
    eventually("the next key signs", async || world.app.tokens.key().kid() == kid(&new)).await;
    some_requests().await;
    assert_eq!(kids(&nobody).await, [kid(&new), kid(&old)]);
    stop.store(true, Ordering::Release);
    load.await.unwrap();

    // Gone from the file, the old key is trusted no more.
    write(&path, &new);
    eventually("the old key is gone", async || kids(&nobody).await == [kid(&new)]).await;
    ann.get("/v1/account/sessions").answer().await.assert_problem(401, "unauthenticated");
    life.cancel();
}
