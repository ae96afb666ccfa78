//! What is answered where.

use crate::board::{Asked, Board, locked};
use crate::door::{self, Door};
use crate::problem::{self, Problem};
use crate::task::{Shared, Task};
use crate::{events, files, openapi};
use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a request that is no upload.
const BODY_MAX: usize = 1 << 20;
/// Tasks on one page, at most and by default.
const PAGE: (usize, usize) = (100, 20);
/// Longest time that `Prefer: wait` is heeded.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The whole application.
pub fn app(board: Arc<Board>, door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/tasks", post(submit).get(list))
        .route("/v1/tasks/{id}", get(show))
        .route("/v1/tasks/{id}/cancel", post(cancel))
        .route("/v1/tasks/{id}/approve", post(approve))
        .route("/v1/tasks/{id}/messages", post(message).get(messages))
        .route("/v1/tasks/{id}/events", get(follow))
        .route("/v1/tasks/{id}/artifacts", get(artifacts))
        .route("/v1/tasks/{id}/artifacts/{*path}", get(artifact))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .route("/v1/uploads", post(upload).layer(DefaultBodyLimit::disable()))
        .route("/healthz", get(|| async { Json(json!({"status": "ok"})) }))
        .route("/readyz", get(|| async { Json(json!({"status": "ready"})) }))
        .route("/openapi.json", get(|| async { Json(openapi::document()) }))
        .fallback(|| async { Problem::absent("place; /openapi.json lists what there is") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this cannot be done here")
        })
        .layer(middleware::from_fn_with_state(door, door::check))
        .layer(middleware::map_response(problem::in_one_form))
        .with_state(board)
}

type Answer = Result<Response, Problem>;

/// Looks at a task away from the threads that answer: what is shown may be read from disk.
async fn with<T: Send + 'static>(
    task: Shared,
    look: impl FnOnce(&mut Task) -> T + Send + 'static,
) -> Result<T, Problem> {
    away(move || look(&mut locked(&task))).await
}

/// Does work that may wait for a disk, or for somebody else, away from the threads that answer.
async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::broken(&error))
}

async fn submit(State(board): State<Arc<Board>>, headers: HeaderMap, body: String) -> Answer {
    let asked: Asked = serde_json::from_str(&body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "json", format!("the task cannot be read: {error}"))
            .hint("send JSON such as {\"upload\": ID, \"task\": \"predict churn, AUC\", \"minutes\": 5}")
    })?;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let key = text("idempotency-key");
    let taking = Arc::clone(&board);
    let (task, is_replayed) = away(move || taking.submit(&asked, key.as_deref())).await??;
    let wait = text("prefer").and_then(|prefer| prefer.trim().strip_prefix("wait=")?.parse::<u64>().ok());
    let mut status = StatusCode::ACCEPTED;
    if let Some(seconds) = wait {
        let until = Instant::now() + Duration::from_secs(seconds).min(WAIT_MAX);
        while Instant::now() < until && status == StatusCode::ACCEPTED && !board.is_closing() {
            let is_over = |task: &mut Task| {
                task.catch_up();
                task.is_over()
            };
            if with(Arc::clone(&task), is_over).await? {
                status = StatusCode::OK;
            } else {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let shown = with(task, Task::shown).await?;
    let place = shown["links"]["self"].as_str().unwrap_or_default().to_owned();
    let mut response = (status, Json(shown)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(&place).map_err(|error| Problem::broken(&error))?);
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    if is_replayed {
        headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
    after: Option<String>,
    status: Option<String>,
}

async fn list(State(board): State<Arc<Board>>, Query(page): Query<Page>) -> Answer {
    let limit = page.limit.unwrap_or(PAGE.1).clamp(1, PAGE.0);
    let work = move || {
        let (found, has_more) = board.page(limit, page.after.as_deref(), page.status.as_deref());
        let next = found.last().filter(|_| has_more).map(|task| task["id"].clone());
        json!({"object": "list", "data": found, "has_more": has_more, "next": next})
    };
    Ok(Json(away(work).await?).into_response())
}

async fn show(State(board): State<Arc<Board>>, Path(id): Path<String>) -> Answer {
    Ok(Json(with(board.get(&id)?, Task::shown).await?).into_response())
}

async fn cancel(State(board): State<Arc<Board>>, Path(id): Path<String>) -> Answer {
    let shown = with(board.get(&id)?, |task| task.cancel().map(|()| task.shown())).await??;
    Ok((StatusCode::ACCEPTED, Json(shown)).into_response())
}

async fn approve(State(board): State<Arc<Board>>, Path(id): Path<String>) -> Answer {
    let shown = with(board.get(&id)?, |task| task.approve().map(|()| task.shown())).await??;
    Ok((StatusCode::ACCEPTED, Json(shown)).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    text: String,
}

async fn message(State(board): State<Arc<Board>>, Path(id): Path<String>, body: String) -> Answer {
    let message: Message = serde_json::from_str(&body).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "json", format!("the message cannot be read: {error}"))
            .hint("send JSON such as {\"text\": \"drop the zip column\"}")
    })?;
    let replies = away(move || board.say(&id, &message.text)).await??;
    Ok((StatusCode::ACCEPTED, Json(json!({"replies": replies}))).into_response())
}

async fn messages(State(board): State<Arc<Board>>, Path(id): Path<String>) -> Answer {
    let said = with(board.get(&id)?, Task::heard).await?;
    Ok(Json(json!({"object": "list", "data": said})).into_response())
}

async fn follow(
    State(board): State<Arc<Board>>,
    Path(id): Path<String>,
    Query(from): Query<events::From>,
    headers: HeaderMap,
) -> Answer {
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let after = last.or(from.after).unwrap_or(0);
    Ok(events::stream(&board, board.get(&id)?, after).await)
}

async fn artifacts(State(board): State<Arc<Board>>, Path(id): Path<String>) -> Answer {
    let folder = with(board.get(&id)?, |task| task.folder.clone()).await?;
    let listed = away(move || files::list(&folder)).await?;
    Ok(Json(json!({"object": "list", "data": listed})).into_response())
}

async fn artifact(
    State(board): State<Arc<Board>>,
    Path((id, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let folder = with(board.get(&id)?, |task| task.folder.clone()).await?;
    away(move || files::file(&folder, &path, &headers, &board.tags)).await?
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

/// Takes a file.
async fn upload(
    State(board): State<Arc<Board>>,
    Query(named): Query<Named>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/") {
        let detail = "a form is no file: its envelope would become part of the data";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "form", detail)
            .hint("send the file itself: curl --data-binary @FILE '…/v1/uploads?name=FILE'"));
    }
    let (id, bytes) = board.uploads.take(named.name.as_deref().unwrap_or("data.csv"), body).await?;
    Ok((StatusCode::CREATED, Json(json!({"id": id, "object": "upload", "bytes": bytes}))).into_response())
}
