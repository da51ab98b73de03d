use crate::support::TestApp;
use crate::transport::frames::{ENHANCE_YOUR_CALM, Wire, head, mistake, reset};

/// The ids of a client's streams.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

#[tokio::test]
async fn a_client_that_gives_up_calls_faster_than_they_are_begun_with_is_sent_away() {
    let app = TestApp::with(|settings| settings.connections.pending_resets = 8).await;
    let mut wire = Wire::open(app.address).await;
    let flood: Vec<u8> = streams(2_000).flat_map(|stream| [head(stream), reset(stream)].concat()).collect();
    wire.write(&flood).await;
    assert_eq!(wire.last_goaway().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(app.health("").await, Some("SERVING"));

    // One that may give up that many stays.
    let app = TestApp::with(|settings| settings.connections.pending_resets = 4_000).await;
    let mut wire = Wire::open(app.address).await;
    wire.write(&flood).await;
    assert!(wire.is_answered().await);
}

#[tokio::test]
async fn a_client_whose_mistakes_make_us_reset_too_many_streams_is_sent_away() {
    let app = TestApp::with(|settings| settings.connections.error_resets = 16).await;
    let mut wire = Wire::open(app.address).await;
    let flood: Vec<u8> = streams(64).flat_map(|stream| [head(stream), mistake(stream)].concat()).collect();
    wire.write(&flood).await;
    assert_eq!(wire.last_goaway().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(app.health("").await, Some("SERVING"));
}
