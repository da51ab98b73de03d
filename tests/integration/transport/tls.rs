use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use inkbox_imessage::proto::WhoAmIRequest;

use crate::support::callers::Caller;
use crate::support::{TestApp, database, eventually};
use crate::transport::certificates::{Authority, Files};
use crate::transport::clients::{TlsClient, health};

async fn start(files: &Files) -> TestApp {
    let tls = files.tls();
    TestApp::builder()
        .database(database::fresh().await)
        .settings(|settings| settings.tls = Some(tls))
        .launch()
        .await
}

#[tokio::test]
async fn tls_is_spoken_and_plain_text_is_not() {
    let authority = Authority::new();
    let certificate = authority.issue();
    let app = start(&Files::new(&certificate, None)).await;
    let client = TlsClient::new(&app, &authority, None);
    client.until_ready().await;
    assert!(client.saw(&certificate));

    let secret = app.admin("org_a").await.secret;
    assert!(Caller::new(client.channel(), secret.clone()).who_am_i(WhoAmIRequest {}).await.is_ok());
    let plain = Caller::new(app.channel(), secret).who_am_i(WhoAmIRequest {}).await;
    assert!(plain.is_err());
    // A client that trusts another authority does not take us for the service.
    assert_eq!(health(TlsClient::new(&app, &Authority::new(), None).channel()).await, None);
}

#[tokio::test]
async fn mtls_takes_certificates_of_its_authority_and_no_others() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let app = start(&Files::new(&authority.issue(), Some(&clients.pem))).await;
    let right = clients.issue();
    TlsClient::new(&app, &authority, Some(&right)).until_ready().await;

    let of_another = Authority::new().issue();
    for wrong in [None, Some(&of_another), Some(&authority.issue())] {
        let client = TlsClient::new(&app, &authority, wrong);
        assert_eq!(health(client.channel()).await, None);
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_no_call_fails_meanwhile() {
    let authority = Authority::new();
    let (old, new) = (authority.issue(), authority.issue());
    let files = Files::new(&old, None);
    let app = start(&files).await;
    TlsClient::new(&app, &authority, None).until_ready().await;
    let secret = app.admin("org_a").await.secret;

    // Four callers on connections that stay, four that connect anew for each call.
    let over = Arc::new(AtomicBool::new(false));
    let answered: Arc<[AtomicU32; 8]> = Arc::default();
    let mut callers = Vec::new();
    for number in 0..8 {
        let client = TlsClient::new(&app, &authority, None);
        let (over, answered, secret) = (over.clone(), answered.clone(), secret.clone());
        callers.push(tokio::spawn(async move {
            let mut caller = Caller::new(client.channel(), secret);
            while !over.load(Ordering::Relaxed) {
                caller.who_am_i(WhoAmIRequest {}).await.unwrap();
                answered[number].fetch_add(1, Ordering::Relaxed);
                if number >= 4 {
                    caller.channel = client.channel();
                }
            }
            client
        }));
    }
    let each_made_progress = async || {
        let before: Vec<_> = answered.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        eventually("each caller has made more calls", async || {
            let more =
                answered.iter().zip(&before).all(|(now, before)| now.load(Ordering::Relaxed) > before + 2);
            more.then_some(())
        })
        .await;
    };
    each_made_progress().await;

    // Half of it first: the key does not belong to the certificate, and the old pair stays in use.
    std::fs::write(files.path("cert.pem"), &new.pem).unwrap();
    each_made_progress().await;
    let client = TlsClient::new(&app, &authority, None);
    assert_eq!(health(client.channel()).await, Some("SERVING"));
    assert!(client.saw(&old));
    std::fs::write(files.path("cert.pem"), "nonsense").unwrap();
    each_made_progress().await;

    files.write(&new);
    eventually("new connections see the new certificate", async || {
        assert_eq!(health(client.channel()).await, Some("SERVING"));
        client.saw(&new).then_some(())
    })
    .await;
    each_made_progress().await;
    over.store(true, Ordering::Relaxed);
    for (number, caller) in callers.into_iter().enumerate() {
        let client = caller.await.expect("no call failed");
        assert_eq!(client.saw(&old), number < 4, "connections that stay were not opened anew");
    }
}

#[tokio::test]
async fn a_new_authority_of_clients_counts_for_new_connections() {
    let (authority, before, after) = (Authority::new(), Authority::new(), Authority::new());
    let files = Files::new(&authority.issue(), Some(&before.pem));
    let app = start(&files).await;
    let old = TlsClient::new(&app, &authority, Some(&before.issue()));
    old.until_ready().await;
    let open = old.channel();
    assert_eq!(health(open.clone()).await, Some("SERVING"));

    files.write_client_ca(&after.pem);
    TlsClient::new(&app, &authority, Some(&after.issue())).until_ready().await;
    // A session of before is not taken up again either.
    assert_eq!(health(old.channel()).await, None);
    assert_eq!(health(open).await, Some("SERVING"), "an open connection stays");
}
