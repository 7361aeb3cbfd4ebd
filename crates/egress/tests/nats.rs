//! The event stream against a real NATS server, which `scripts/services` starts.

mod server;
mod stand;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy};
use egress::{Board, Follower, Message, Outlet, OutletError, Prepared, Published};
use server::Server;
use stand::{IDENTITY, Stand, VACCINATION};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

type Change = fn(&mut Config);

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_in_order_with_their_numbers_and_ids() {
    let (server, stand) = (Server::start(), Stand::new());
    for n in 0..700 {
        stand.happen(if n % 7 == 3 { IDENTITY } else { VACCINATION }, n).await;
    }
    let mut follower = stand.follower(&server, "WEIR").await;
    while follower.round().await.unwrap() > 0 {}
    stand.happen(VACCINATION, 700).await;
    assert_eq!(follower.round().await.unwrap(), 1);
    let got = server.messages("WEIR").await;
    assert_eq!(got.len(), 701);
    for (at, message) in got.iter().enumerate() {
        let value: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
        let (no, topic) = (value["no"].as_u64().unwrap(), value["topic"].as_str().unwrap());
        assert_eq!((no, value["n"].as_u64().unwrap()), (at as u64 + 1, at as u64), "both topics in one order");
        assert_eq!(message.subject, format!("weir.default.{topic}"));
        assert_eq!(message.id, format!("default-{topic}-{no}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_stream_gets_all_events_from_the_first() {
    let (server, stand) = (Server::start(), Stand::new());
    stand.happen_all(0..300).await;
    stand.follow(&server, "ONE").await;
    stand.happen_all(300..310).await;
    // A server that knows nothing more of the stream begins anew as well, whatever had been acknowledged.
    stand.follow(&server, "ONE").await;
    server.delete("ONE").await;
    stand.follow(&server, "TWO").await;
    assert_eq!(server.numbers("TWO").await, (0..310).collect::<Vec<_>>());
    server.delete("TWO").await;
    stand.follow(&server, "TWO").await;
    assert_eq!(server.numbers("TWO").await, (0..310).collect::<Vec<_>>());
}

/// Passes on, and never comes back once the server has acknowledged: what a process looks like that dies there.
struct DiesAfterAck<O> {
    outlet: O,
    died: Arc<Notify>,
}

impl<O: Outlet> Outlet for DiesAfterAck<O> {
    async fn prepare(&self, topics: &[String]) -> Result<Prepared, OutletError> {
        self.outlet.prepare(topics).await
    }

    async fn publish(&self, messages: &[Message]) -> Published {
        assert_eq!(self.outlet.publish(messages).await.error, None);
        self.died.notify_one();
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_dies_before_it_keeps_its_place_repeats_nothing() {
    let (server, stand) = (Server::start(), Stand::new());
    stand.happen_all(0..20).await;
    stand.follow(&server, "WEIR").await;
    for crash in 1..=3 {
        stand.happen_all(crash * 20..crash * 20 + 20).await;
        let died = Arc::new(Notify::new());
        let outlet = DiesAfterAck { outlet: server.outlet("WEIR"), died: died.clone() };
        let mut follower = Follower::new(stand.spec("WEIR"), stand.feed().await, outlet, Board::default());
        let task = tokio::spawn(async move { follower.round().await });
        died.notified().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        let kept: serde_json::Value = stand.kept("WEIR").await;
        assert!(kept[VACCINATION].as_u64().unwrap() <= crash * 20, "the place was not moved: {kept}");
        stand.follow(&server, "WEIR").await;
        assert_eq!(server.numbers("WEIR").await, (0..crash * 20 + 20).collect::<Vec<_>>());
    }
}

/// Says that the stream is empty: what is left of exactly-once is the ids.
struct Forgets<O>(O);

impl<O: Outlet> Outlet for Forgets<O> {
    async fn prepare(&self, topics: &[String]) -> Result<Prepared, OutletError> {
        self.0.prepare(topics).await?;
        Ok(Prepared::default())
    }

    async fn publish(&self, messages: &[Message]) -> Published {
        self.0.publish(messages).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_drops_repeats_by_their_ids() {
    let (server, stand) = (Server::start(), Stand::new());
    stand.happen_all(0..100).await;
    stand.follow(&server, "WEIR").await;
    stand.happen_all(100..150).await;
    let board = Board::default();
    let outlet = Forgets(server.outlet("WEIR"));
    let mut follower = Follower::new(stand.spec("WEIR"), stand.feed().await, outlet, board.clone());
    while follower.round().await.unwrap() > 0 {}
    assert_eq!(server.numbers("WEIR").await, (0..150).collect::<Vec<_>>());
    let (_, status) = &board.all()[0];
    assert_eq!((status.published, status.repeats, status.failed), (150, 100, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn others_on_the_stream_do_not_change_the_order() {
    let (server, stand) = (Server::start(), Stand::new());
    let stream = Config { name: "SHARED".into(), subjects: vec!["weir.>".into(), "other".into()], ..Config::default() };
    server.jetstream().await.create_stream(stream).await.unwrap();
    stand.happen_all(0..2_000).await;
    let jetstream = server.jetstream().await;
    let done = Arc::new(Notify::new());
    let noise = {
        let done = done.clone();
        tokio::spawn(async move {
            let mut sent = 0_u64;
            let mut done = std::pin::pin!(done.notified());
            while tokio::time::timeout(Duration::from_millis(1), &mut done).await.is_err() {
                jetstream.publish("other", "x".into()).await.unwrap().await.unwrap();
                sent += 1;
            }
            sent
        })
    };
    stand.follow(&server, "SHARED").await;
    done.notify_one();
    assert!(noise.await.unwrap() > 0);
    let ours: Vec<u64> = server.messages("SHARED").await.iter().filter_map(|message| message.n()).collect();
    assert_eq!(ours, (0..2_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_comes_back_gets_the_rest() {
    let (server, stand) = (Server::start(), Stand::new());
    stand.happen_all(0..50).await;
    let board = Board::default();
    let mut spec = stand.spec("WEIR");
    spec.poll = Duration::from_millis(20);
    let follower = Follower::new(spec, stand.feed().await, server.outlet("WEIR"), board.clone());
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(follower.run(async { drop(told.await) }));
    let reached = |no: u64| {
        let board = board.clone();
        async move {
            for _ in 0..1_500 {
                if board.all()[0].1.newest_no >= no {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            panic!("event {no} was not acknowledged: {:?}", board.all());
        }
    };
    reached(50).await;
    server.kill();
    stand.happen_all(50..400).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.again();
    reached(400).await;
    assert_eq!(server.numbers("WEIR").await, (0..400).collect::<Vec<_>>());
    assert_eq!(board.all()[0].1.error, None);
    drop(tell);
    tokio::time::timeout(Duration::from_secs(60), running).await.expect("it stops when it is told").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_would_lose_events_is_refused() {
    let (server, stand) = (Server::start(), Stand::new());
    stand.happen_all(0..3).await;
    let jetstream = server.jetstream().await;
    let with = |name: &str, change: fn(&mut Config)| {
        let mut config =
            Config { name: name.into(), subjects: vec![format!("weir.{}", name.to_lowercase())], ..Config::default() };
        change(&mut config);
        config
    };
    let cases: [(&str, Change, &str); 4] = [
        ("AGE", |config| config.max_age = Duration::from_secs(3600), "max_age must be 0"),
        ("OLD", |config| (config.max_messages, config.discard) = (10, DiscardPolicy::Old), "discard must be new"),
        ("WORK", |config| config.retention = RetentionPolicy::WorkQueue, "retention must be limits"),
        ("ELSEWHERE", |_| (), "its subjects lack weir.default.vaccination"),
    ];
    for (name, change, reason) in cases {
        jetstream.create_stream(with(name, change)).await.unwrap();
        let mut follower = stand.follower(&server, name).await;
        let Err(OutletError::Refused(text)) = follower.round().await else { panic!("{name} was taken") };
        assert!(text.contains(&format!("stream {name} would lose events: ")) && text.contains(reason), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_put_back_does_not_publish_other_events_under_old_numbers() {
    let (server, stand) = (Server::start(), Stand::new());
    stand.happen_all(0..9).await;
    stand.follow(&server, "WEIR").await;
    let restored = Stand::new();
    restored.clock.advance_us(1_000_000);
    restored.happen_all(0..20).await;
    let mut follower = restored.follower(&server, "WEIR").await;
    let Err(OutletError::Refused(text)) = follower.round().await else { panic!("it was taken") };
    assert!(text.contains("has an event 9 of topic vaccination that is not in this store"), "{text}");
    assert_eq!(server.numbers("WEIR").await, (0..9).collect::<Vec<_>>());
}
