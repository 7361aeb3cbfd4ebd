//! Server-sent events as a page receives them.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

pub(crate) async fn open(router: &Router, path: &str) -> Body {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    response.into_body()
}

/// The next event with numbers; `None` at the end.
pub(crate) async fn next(body: &mut Body) -> Option<Value> {
    loop {
        let frame = body.frame().await?.unwrap();
        let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
        if let Some((_, data)) = text.split_once("event: numbers\ndata: ") {
            return Some(serde_json::from_str(data.trim_end()).unwrap());
        }
    }
}

pub(crate) fn value(event: &Value, key: &str) -> Option<String> {
    let pair = event["changed"].as_array().unwrap().iter().find(|pair| pair[0] == key)?;
    Some(pair[1].as_str().unwrap().to_owned())
}
