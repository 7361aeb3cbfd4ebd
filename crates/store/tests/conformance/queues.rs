//! Durable queues: leases, order within a group, not-before.

use crate::support::{START_US, fixture};
use store::{Batch, QueueMessage, Tenant};

fn message(group: &str, not_before_us: i64, text: &str) -> QueueMessage {
    QueueMessage { queue: "emr".into(), group: group.into(), not_before_us, payload: text.into() }
}

async fn send(tenant: &Tenant, queue: Vec<QueueMessage>) {
    tenant.commit(Batch { queue, ..Batch::default() }).await.unwrap();
}

async fn lease(tenant: &Tenant, limit: usize) -> Vec<(u64, String)> {
    let leased = tenant.queue_lease("emr", "worker", limit, 100).await.unwrap();
    leased.into_iter().map(|message| (message.id, String::from_utf8(message.payload).unwrap())).collect()
}

#[tokio::test]
async fn groups_are_served_in_order_and_one_at_a_time() {
    let fixture = fixture();
    let tenant = &fixture.tenant;
    send(tenant, vec![message("p1", 0, "a1"), message("p1", 0, "a2"), message("p2", 0, "b1")]).await;
    let first = lease(tenant, 10).await;
    assert_eq!(first.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["a1", "b1"]);
    assert!(lease(tenant, 10).await.is_empty(), "the rest of p1 waits for its head");
    tenant.queue_ack(vec![first[0].0, 999]).await.unwrap();
    assert_eq!(lease(tenant, 10).await[0].1, "a2");
    assert_eq!(tenant.queue_depth("emr").await.unwrap(), 2);
}

#[tokio::test]
async fn a_lease_ends_a_release_delays_and_both_count_attempts() {
    let mut fixture = fixture();
    send(&fixture.tenant, vec![message("p", START_US + 50, "later")]).await;
    assert!(lease(&fixture.tenant, 10).await.is_empty());
    fixture.clock.advance_us(50);
    assert_eq!(lease(&fixture.tenant, 10).await.len(), 1);
    fixture = fixture.reopen();
    assert!(lease(&fixture.tenant, 10).await.is_empty(), "leases survive a restart");
    fixture.clock.advance_us(100);
    let again = fixture.tenant.queue_lease("emr", "other", 1, 100).await.unwrap();
    assert_eq!((again[0].attempts, again[0].group.as_str()), (2, "p"));
    fixture.tenant.queue_release(again[0].id, START_US + 1_000).await.unwrap();
    fixture.clock.advance_us(500);
    assert!(lease(&fixture.tenant, 10).await.is_empty());
    fixture.clock.advance_us(500);
    assert_eq!(lease(&fixture.tenant, 10).await.len(), 1);
}
