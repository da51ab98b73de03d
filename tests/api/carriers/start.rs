use inkbox_imessage::carriers::CarrierSettings;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::server::ServeError;
use tokio::time::timeout;

use super::{MAC_LINE, SENDBLUE_LINE, app, mac_at, sendblue_at};
use crate::support::{PATIENCE, TestApp};

/// How a service ends that is started on the same database.
async fn ends(app: &TestApp, lines: CarrierSettings) -> String {
    let mut other = TestApp::launch(app.options.clone(), |settings| settings.lines = lines).await;
    let ended = timeout(PATIENCE, &mut other.running).await.expect("it ends").unwrap();
    let error = ended.expect_err("it refuses to serve");
    assert!(matches!(error, ServeError::NotConfigured(_)), "{error}");
    error.to_string()
}

#[tokio::test]
async fn lines_whose_carrier_is_not_configured_are_refused_with_one_line() {
    let both =
        CarrierSettings { sendblue: sendblue_at("http://a.example").sendblue, ..mac_at("http://b.example") };
    let pool = [(SENDBLUE_LINE, CarrierKind::Sendblue), (MAC_LINE, CarrierKind::BlueBubbles)];
    let app = app(both.clone(), &pool, super::TIME_OUT).await;
    // Everything configured is served, as a replica shows.
    TestApp::on(app.options.clone(), |settings| settings.lines = both).await;

    let without_sendblue = ends(&app, mac_at("http://b.example")).await;
    assert!(without_sendblue.contains("INKBOX_SENDBLUE_API_KEY_ID"), "{without_sendblue}");
    let without_macs = ends(&app, sendblue_at("http://a.example")).await;
    assert!(without_macs.contains("INKBOX_BLUEBUBBLES_SERVERS"), "{without_macs}");
    let mut another_mac = mac_at("http://b.example");
    another_mac.sendblue = sendblue_at("http://a.example").sendblue;
    another_mac.bluebubbles[0].number = inkbox_imessage::domain::PhoneNumber::parse("+12025550199").unwrap();
    let without_its_mac = ends(&app, another_mac).await;
    assert!(without_its_mac.contains("1 of the lines"), "{without_its_mac}");
    for line in [without_sendblue, without_macs, without_its_mac] {
        assert!(!line.contains("+1202") && !line.contains('\n'), "{line}");
    }
}
