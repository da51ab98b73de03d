use inkbox_imessage::carriers::CarrierSettings;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::server::ServeError;
use tokio::time::timeout;

use super::{MAC_LINE, SENDBLUE_LINE, app, mac_at, sendblue_at};
use crate::support::{PATIENCE, TestApp};

/// The error of a second process on the same database with these carriers.
async fn start_error(app: &TestApp, carriers: CarrierSettings) -> String {
    let mut other = TestApp::builder()
        .database(app.options.clone())
        .settings(|settings| settings.lines = carriers)
        .launch()
        .await;
    let ended = timeout(PATIENCE, &mut other.running).await.expect("it ends").unwrap();
    let error = ended.expect_err("the start fails");
    assert!(matches!(error, ServeError::NotConfigured(_)), "{error}");
    error.to_string()
}

#[tokio::test]
async fn a_line_whose_carrier_is_not_configured_prevents_the_start_with_a_one_line_error() {
    let both =
        CarrierSettings { sendblue: sendblue_at("http://a.example").sendblue, ..mac_at("http://b.example") };
    let pool = [(SENDBLUE_LINE, CarrierKind::Sendblue), (MAC_LINE, CarrierKind::BlueBubbles)];
    let app = app(both.clone(), &pool, super::CALL_TIMEOUT).await;
    // A second process with all carriers starts.
    TestApp::builder().database(app.options.clone()).settings(|settings| settings.lines = both).start().await;

    let without_sendblue = start_error(&app, mac_at("http://b.example")).await;
    assert!(without_sendblue.contains("INKBOX_SENDBLUE_API_KEY_ID"), "{without_sendblue}");
    let without_macs = start_error(&app, sendblue_at("http://a.example")).await;
    assert!(without_macs.contains("INKBOX_BLUEBUBBLES_SERVERS"), "{without_macs}");
    let mut another_mac = mac_at("http://b.example");
    another_mac.sendblue = sendblue_at("http://a.example").sendblue;
    another_mac.bluebubbles[0].number = inkbox_imessage::domain::PhoneNumber::parse("+12025550199").unwrap();
    let without_its_mac = start_error(&app, another_mac).await;
    assert!(without_its_mac.contains("1 of the lines"), "{without_its_mac}");
    for line in [without_sendblue, without_macs, without_its_mac] {
        assert!(!line.contains("+1202") && !line.contains('\n'), "{line}");
    }
}
