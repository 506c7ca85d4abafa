//! What the cache promises: one load per missed key, nothing stale, no error kept.
use std::sync::atomic::AtomicUsize;

use fittrack_schemas::notice::ChangeNotice;
use tokio::sync::Notify;

use super::*;
use crate::read_model::ReadModel;

const OWNER: Uuid = Uuid::from_u128(7);

fn cache() -> Arc<Cache> {
    Arc::new(Cache::new(1 << 20, Arc::new(Stamps::default())))
}

fn key(target: &str) -> Key<'_> {
    Key { caller: Some(OWNER), target }
}

fn loaded(cache: &Cache, body: impl Into<Bytes>) -> Kept {
    let stamp = cache.stamps().of_owner(ReadModel::Workouts, OWNER);
    let text = HeaderValue::from_static("text/plain");
    let etag = HeaderValue::from_static("\"1\"");
    let answer = Answer { body: body.into(), content_type: text, etag, link: None, coded: Coded::default() };
    Kept { loaded: Loaded { answer, stamp }, route: "/a".into(), models: &[ReadModel::Workouts] }
}

fn commit(cache: &Cache) {
    let notice = ChangeNotice {
        read_model: "workouts".into(),
        version: 1,
        generation: 1,
        checkpoints: vec![(0, 1)],
        owners: Some(vec![OWNER]),
    };
    cache.stamps().changed(ReadModel::Workouts, &notice);
}

async fn body_of(cache: &Cache, target: &str, body: &'static str) -> Bytes {
    let load = || async { Ok(loaded(cache, body)) };
    cache.get_or_load(key(target), load).await.unwrap().loaded.answer.body.clone()
}

#[tokio::test]
async fn a_good_answer_is_kept_and_a_stale_one_replaced() {
    let cache = cache();
    assert_eq!(body_of(&cache, "/a", "first").await, "first");
    assert_eq!(body_of(&cache, "/a", "second").await, "first");
    commit(&cache);
    assert_eq!(body_of(&cache, "/a", "third").await, "third");
    assert_eq!(body_of(&cache, "/a", "fourth").await, "third");
}

#[tokio::test]
async fn callers_do_not_see_each_others_answers() {
    let cache = cache();
    body_of(&cache, "/a", "hers").await;
    let other = Key { caller: Some(Uuid::from_u128(8)), target: "/a" };
    let his = cache.get_or_load(other, || async { Ok(loaded(&cache, "his")) }).await.unwrap();
    assert_eq!(his.loaded.answer.body, "his");
}

#[tokio::test]
async fn a_load_that_began_before_the_notice_is_never_served_afterwards() {
    let cache = cache();
    let old = cache.get_or_load(key("/a"), || async {
        // given the stamp and the old row are read, when the commit and its notice come
        let early = loaded(&cache, "old");
        commit(&cache);
        Ok(early)
    });
    // then he who asked before the notice may see it, and nobody after
    assert_eq!(old.await.unwrap().loaded.answer.body, "old");
    assert_eq!(body_of(&cache, "/a", "new").await, "new");
}

#[tokio::test]
async fn who_joins_a_load_that_began_before_the_change_he_knows_of_gets_a_new_one() {
    for early_fails in [false, true] {
        let cache = cache();
        let (began, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let first = tokio::spawn({
            let (cache, began, go_on) = (Arc::clone(&cache), Arc::clone(&began), Arc::clone(&go_on));
            async move {
                let load = || async {
                    let early = loaded(&cache, "old");
                    began.notify_one();
                    go_on.notified().await;
                    if early_fails { Err(Problem::not_found("not there yet")) } else { Ok(early) }
                };
                cache.get_or_load(key("/a"), load).await.map(|kept| kept.loaded.answer.body.clone())
            }
        });
        began.notified().await;
        commit(&cache);
        let mut second = Box::pin(body_of(&cache, "/a", "new"));
        assert!(futures::poll!(second.as_mut()).is_pending());
        go_on.notify_one();
        assert_eq!(second.await, "new");
        assert_eq!(first.await.unwrap().is_err(), early_fails);
    }
}

#[tokio::test]
async fn many_who_miss_at_once_cause_one_load() {
    let cache = cache();
    let loads = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Notify::new());
    let asked: Vec<_> = (0..50)
        .map(|_| {
            let (cache, loads, gate) = (Arc::clone(&cache), Arc::clone(&loads), Arc::clone(&gate));
            tokio::spawn(async move {
                let load = || async {
                    loads.fetch_add(1, Ordering::SeqCst);
                    gate.notified().await;
                    Ok(loaded(&cache, "once"))
                };
                cache.get_or_load(key("/a"), load).await.unwrap().loaded.answer.body.clone()
            })
        })
        .collect();
    gate.notify_one();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), "once");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn errors_and_very_long_bodies_are_not_kept() {
    let cache = cache();
    let refused = cache.get_or_load(key("/a"), || async { Err(Problem::not_found("no")) }).await;
    assert_eq!(refused.map(|_| ()).unwrap_err().status(), 404);
    assert_eq!(body_of(&cache, "/a", "there").await, "there");
    let long = || async { Ok(loaded(&cache, vec![b'x'; MAX_KEPT_BYTES + 1])) };
    cache.get_or_load(key("/long"), long).await.unwrap();
    assert_eq!(body_of(&cache, "/long", "short").await, "short");
}
