//! Every route, with everything a client may do wrong.
use std::collections::BTreeSet;

use command_api::routes;
use fittrack_runtime::problem::CATALOGUE;

use crate::{support::World, walk::Walk};

#[tokio::test]
async fn whatever_is_done_wrong_the_answer_is_whole() {
    let world = World::new().await;
    let ann = world.athlete("ann").await;
    let document = serde_json::to_value(routes::openapi()).unwrap();
    let mut walk = Walk::new(world.router(), &document, ann.token());
    walk.all().await;
    walk.pages(CATALOGUE.iter().chain(routes::problems::KINDS)).await;
    let paged: BTreeSet<&str> = CATALOGUE.iter().chain(routes::problems::KINDS).map(|kind| kind.slug).collect();
    assert!(walk.met.iter().all(|slug| paged.contains(slug.as_str())), "without a page: {:?}", walk.met);
    for status in [204, 400, 401, 404, 405, 406, 413, 414, 415, 422] {
        assert!(walk.answered.contains_key(&status), "never met {status}: {:?}", walk.answered);
    }
    assert_eq!(world.workouts().await, 0);
}
