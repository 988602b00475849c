//! The answer to an exchange is lost at any moment of it: the client goes on.

use std::time::Duration;

use nightlatch_testkit::chance;
use nightlatch_testkit::client::Lost;
use nightlatch_testkit::server::NightlatchServer;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::ApiClient;
use crate::person::Person;
use crate::record::{Record, on_each_record};

on_each_record!(kills_in_the_middle_of_exchanges_log_nobody_out);

const KILLS: usize = 15;
const CLIENTS: usize = 8;

/// Exchanges until the server is gone; how many answers came, and whether one was cut off.
async fn exchange_until_it_is_gone(mut api: ApiClient) -> (ApiClient, u64, bool) {
    let mut answers = 0;
    loop {
        match api.try_exchange().await {
            Ok(answer) => {
                let is_known = answer.status == 200 || answer.status == 503;
                assert!(is_known, "{}: {}", answer.status, answer.text());
                answers += 1;
            }
            Err(Lost::NotConnected) => return (api, answers, false),
            Err(_) => {
                return (api, answers, true);
            }
        }
    }
}

async fn kills_in_the_middle_of_exchanges_log_nobody_out(record: Record) {
    let mut stand = record.serve().await;
    let mut chance = chance::from_environment("tokens");
    Person::registered(&stand.server, "alice").await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(ApiClient::logged_in(&stand.server, "alice").await);
    }
    let (mut answers, mut cut) = (0, 0);
    for _ in 0..KILLS {
        let mut tasks = JoinSet::new();
        for api in clients.drain(..) {
            tasks.spawn(exchange_until_it_is_gone(api));
        }
        sleep(Duration::from_millis(80 + chance.below(300))).await;
        stand.server.kill_9();
        for (api, answered, was_cut) in tasks.join_all().await {
            (answers, cut) = (answers + answered, cut + u64::from(was_cut));
            clients.push(api);
        }
        stand.server.start_again();
        stand.server.wait_until_ready().await;
        go_on(&stand.server, &mut clients).await;
    }
    assert!(answers > 100 && cut > 10, "{answers} answers, {cut} cut off");
}

/// Whatever became of the exchange that was cut off, the same token is good.
async fn go_on(server: &NightlatchServer, clients: &mut [ApiClient]) {
    for api in clients {
        api.move_to(server);
        let answer = api.exchange().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(api.verify().await.status, 200);
    }
}
