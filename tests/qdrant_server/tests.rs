//! The stand-in answers as a real server does, and fails as a test orders it.

mod call;
mod requests;
mod searches;
mod table;
mod writes;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::qdrant_client::qdrant::collections_client::CollectionsClient;
use ::qdrant_client::qdrant::qdrant_client::QdrantClient;
use ::qdrant_client::qdrant::{HealthCheckRequest, PointId, QueryPointGroups};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::QdrantServer;
use call::{Call, Clients};
use requests::{count, create, exists, get, point, upsert};

/// Longer than any call here takes.
const SOON: Duration = Duration::from_secs(20);

fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test)
}

/// Names of this run: a real server is shared, and keeps what a failed run left.
fn unique() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    format!("table-{}-{}-", std::process::id(), now.as_nanos())
}

async fn compare(url: String) {
    let prefix = unique();
    let mut clients = Clients::connect(url.clone()).await;
    let mut faults = Vec::new();
    for (call, expected) in table::table(&prefix) {
        let answer = call.clone().answer(&mut clients).await;
        let of_others =
            |item: &&str| item.starts_with(&prefix) || !matches!(call, Call::List(_) | Call::ListAliases(_));
        let answer = answer.split(", ").filter(of_others).collect::<Vec<_>>().join(", ").replace(&prefix, "");
        let alike = match expected.strip_suffix('…') {
            Some(beginning) => answer.starts_with(beginning),
            None => answer == expected,
        };
        if !alike {
            faults.push(format!("{call:?}\n  expected {expected}\n  answered {answer}"));
        }
    }
    assert!(faults.is_empty(), "{url}: {} answers differ:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_stand_in_answers_as_the_table_says() {
    let server = QdrantServer::start();
    block_on(compare(server.url()));
}

/// Runs where a real server's gRPC address is given: the table is its, too.
#[test]
fn a_real_server_answers_as_the_table_says() {
    if let Ok(url) = std::env::var("QDRANT_URL") {
        block_on(compare(url));
    }
}

/// The answer of each call, in order.
async fn answers<const N: usize>(clients: &mut Clients, calls: [Call; N]) -> Vec<String> {
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.answer(clients).await);
    }
    answers
}

fn put(id: u64) -> Call {
    Call::Upsert(upsert("a", vec![point(PointId::from(id), &[], serde_json::json!({}))]))
}

fn number() -> Call {
    count("a", ::qdrant_client::qdrant::Filter::default())
}

#[test]
fn ordered_failures_come_before_or_after_the_deed() {
    let server = QdrantServer::start();
    block_on(async {
        let mut clients = Clients::connect(server.url()).await;
        assert_eq!(answers(&mut clients, [create("a")]).await, ["true"]);
        server.fail_next(2, Code::Unavailable);
        let before = "Unavailable: ordered by the test: nothing was done";
        assert_eq!(answers(&mut clients, [put(1), put(1), number()]).await, [before, before, "0"]);
        server.fail_after(2, Code::Internal);
        let after = "Internal: ordered by the test: it was done";
        let answers = answers(&mut clients, [put(1), put(2), number()]).await;
        assert_eq!(answers, ["Completed", after, "2"]);
    });
    let upserts = ["Points/Upsert"; 2];
    let mut expected = vec!["Collections/Create"];
    expected.extend(upserts.into_iter().chain(["Points/Count"]));
    expected.extend(upserts.into_iter().chain(["Points/Count"]));
    assert_eq!(server.calls(), expected);
}

#[test]
fn what_is_not_served_says_so() {
    let server = QdrantServer::start();
    block_on(async {
        let mut clients = Clients::connect(server.url()).await;
        let refused = clients.points.query_groups(QueryPointGroups::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
        let mut health = QdrantClient::connect(server.url()).await.unwrap();
        assert_eq!(health.health_check(HealthCheckRequest {}).await.unwrap().into_inner().version, "1.19.0");
    });
}

#[test]
fn large_and_compressed_messages_pass() {
    let server = QdrantServer::start();
    let text: String = (0..1_200_000).map(|n: u32| format!("{n:x} ")).collect();
    block_on(async {
        let mut clients = Clients::connect(server.url()).await;
        let limit = 2 * text.len();
        clients.points =
            clients.points.send_compressed(Gzip).accept_compressed(Gzip).max_decoding_message_size(limit);
        let large = point(1, &[], serde_json::json!({ "text": text }));
        let calls = [create("a"), Call::Upsert(upsert("a", vec![large])), get("a", &[1])];
        assert_eq!(
            answers(&mut clients, calls).await,
            ["true", "Completed", &format!("1 {{text: {text}}} <>")]
        );
    });
}

#[test]
fn a_stopped_server_is_gone_and_a_restarted_one_knows_all() {
    let mut server = QdrantServer::start();
    block_on(async {
        let mut clients = Clients::connect(server.url()).await;
        assert_eq!(answers(&mut clients, [create("a"), put(1)]).await, ["true", "Completed"]);
        server.stop();
        server.stop();
        let cut = number().answer(&mut clients).await;
        assert!(cut.starts_with("Unavailable: ") || cut.starts_with("Unknown: "), "{cut}");
        assert!(Channel::from_shared(server.url()).unwrap().connect().await.is_err(), "the port is closed");
        server.restart();
        server.restart();
        // The same client finds it again, as does a new one.
        assert_eq!(number().answer(&mut clients).await, "1");
        assert_eq!(number().answer(&mut Clients::connect(server.url()).await).await, "1");
    });
}

/// A process that starts has what is open in this one for a moment, the listening socket too.
#[test]
fn it_stops_while_processes_start() {
    let mut server = QdrantServer::start();
    std::thread::scope(|scope| {
        let cycles = scope.spawn(|| {
            for _ in 0..300 {
                server.stop();
                server.restart();
            }
        });
        while !cycles.is_finished() {
            assert!(std::process::Command::new("true").status().unwrap().success());
        }
    });
}

#[test]
fn a_call_under_way_is_cut_when_the_server_stops() {
    let mut server = QdrantServer::start();
    block_on(async {
        let mut clients = Clients::connect(server.url()).await;
        server.hang(true);
        let hanging = tokio::spawn(async move { exists("a").answer(&mut clients).await });
        let received = async {
            while server.calls().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, received).await.expect("the call arrives");
        assert!(!hanging.is_finished(), "nothing is answered");
        server.stop();
        let cut = tokio::time::timeout(SOON, hanging).await.expect("the connection is cut").unwrap();
        assert!(!cut.starts_with("false"), "{cut}");
        server.hang(false);
        server.restart();
        let answer = exists("a").answer(&mut Clients::connect(server.url()).await).await;
        assert_eq!(answer, "false");
    });
}

#[test]
fn only_who_has_the_key_is_answered() {
    let server = QdrantServer::with_api_key("secret");
    let cases = [
        (None, Some(Code::Unauthenticated)),
        (Some(("api-key", "wrong")), Some(Code::Unauthenticated)),
        (Some(("authorization", "Bearer wrong")), Some(Code::Unauthenticated)),
        (Some(("api-key", "secret")), None),
        (Some(("authorization", "Bearer secret")), None),
    ];
    block_on(async {
        let channel = Channel::from_shared(server.url()).unwrap().connect().await.unwrap();
        for (header, expected) in cases {
            let with_header = move |mut request: Request<()>| {
                if let Some((name, value)) = header {
                    request.metadata_mut().insert(name, MetadataValue::from_static(value));
                }
                Ok::<_, Status>(request)
            };
            let mut client = CollectionsClient::new(InterceptedService::new(channel.clone(), with_header));
            let answer = client.list(::qdrant_client::qdrant::ListCollectionsRequest {}).await;
            assert_eq!(answer.err().map(|status| status.code()), expected, "{header:?}");
        }
        let mut health = QdrantClient::new(channel);
        health.health_check(HealthCheckRequest {}).await.expect("health is for everyone");
    });
}
