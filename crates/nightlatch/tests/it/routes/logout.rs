//! POST /api/v1/auth/logout

use nightlatch_testkit::hyper::Method;

use crate::person::{Person, SESSION};
use crate::problem::assert_problem;
use crate::record::launch;

const LOGOUT: &str = "/api/v1/auth/logout";

#[tokio::test]
async fn without_a_session_there_is_nothing_to_end() {
    let server = launch().ready().await;
    let mut client = server.client();
    assert_problem(&client.request(Method::POST, LOGOUT).send().await, 401, "no_session");
    for forged in ["x", "", &"A".repeat(53), "a.b.c"] {
        client.set_cookie(SESSION, forged);
        let answer = client.request(Method::POST, LOGOUT).send().await;
        assert_problem(&answer, 401, "no_session");
        assert!(answer.cookies().is_empty());
    }
}

#[tokio::test]
async fn one_logout_ends_one_session() {
    let server = launch().ready().await;
    let mut here = Person::logged_in(&server, "frances").await;
    let mut there = here.on_another_device(&server).await;
    let answer = here.log_out().await;
    let cleared = answer.set_cookie(SESSION).expect("the cookie is cleared");
    assert_eq!(cleared.value, "");
    assert_eq!(cleared.attributes, ["HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax"]);
    assert_eq!(there.session().await.status, 200);
}
