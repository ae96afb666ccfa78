//! The description of the interface, for programs that make clients.

use serde_json::{Value, json};

/// The document at `/openapi.json`.
pub fn document() -> Value {
    let id = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    let ok = |text: &str| json!({"description": text, "content": {"application/json": {"schema": {"type": "object"}}}});
    let task = |text: &str| json!({"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Task"}}}});
    let problem = json!({"description": "An error", "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    let path = |method: &str, summary: &str, status: &str, said: Value| json!({method: {"summary": summary, "parameters": id, "responses": {status: said, "default": problem}}});
    let mut messages = path(
        "post",
        "Say something about a task: answer it, amend it, steer it, ask about it; `task` in a reply names another one that came of it",
        "202",
        ok("Replies"),
    );
    messages["get"] = path("get", "Everything that was replied", "200", ok("Replies"))["get"].take();
    messages["post"]["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": {
        "type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}}}});
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Ansatz", "version": env!("CARGO_PKG_VERSION")},
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Problem": {"type": "object", "properties": {
                    "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                    "code": {"type": "string"}, "detail": {"type": "string"}, "hint": {"type": ["string", "null"]}}},
                "NewTask": {"type": "object", "additionalProperties": false, "properties": {
                    "data": {"type": "string", "description": "a path below the allowed data folder; or openml:NUMBER, hf:OWNER/NAME, an address on an allowed host"},
                    "upload": {"type": "string", "description": "id of an uploaded training file"},
                    "test_upload": {"type": "string", "description": "id of an uploaded test file"},
                    "task": {"type": "string", "description": "the task in words"},
                    "target": {"type": "string"}, "metric": {"type": "string"},
                    "seconds": {"type": "number"}, "minutes": {"type": "number"}, "trials": {"type": "integer"},
                    "seed": {"type": "integer"},
                    "wait_for_approval": {"type": "boolean", "description": "show `plan` and `quote`, and begin when it is approved"}}},
                "Task": {"type": "object", "properties": {
                    "id": {"type": "string"},
                    "status": {"type": "string", "enum": ["queued", "planning", "running", "awaiting_input", "succeeded", "failed", "cancelled"]},
                    "created_at": {"type": "integer"}, "progress": {"type": "object"}, "best": {"type": ["object", "null"]},
                    "cost": {"type": "object"},
                    "question": {"type": ["string", "null"], "description": "what has to be known, or approved, before it begins"},
                    "plan": {"type": ["object", "null"], "description": "`text` and `steps`, while it waits for approval"},
                    "quote": {"type": ["object", "null"]}, "result": {"type": ["object", "null"]},
                    "error": {"type": ["object", "null"]}, "links": {"type": "object"}}},
            },
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/tasks": {
                "post": {
                    "summary": "Submit a task",
                    "parameters": [
                        {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
                        {"name": "Prefer", "in": "header", "schema": {"type": "string"}, "description": "wait=N seconds for its end"}],
                    "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/NewTask"}}}},
                    "responses": {"202": task("The task, with its place in Location"), "default": problem},
                },
                "get": {
                    "summary": "List tasks, newest first",
                    "parameters": [
                        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
                        {"name": "after", "in": "query", "schema": {"type": "string"}},
                        {"name": "status", "in": "query", "schema": {"type": "string"}}],
                    "responses": {"200": ok("Tasks"), "default": problem},
                },
            },
            "/v1/tasks/{id}": path("get", "Look at a task", "200", task("The task")),
            "/v1/tasks/{id}/cancel": path("post", "Finish a task with what it has; once more changes nothing", "202", task("The task")),
            "/v1/tasks/{id}/approve": path("post", "Say yes to a task that waits for it", "202", task("The task")),
            "/v1/tasks/{id}/messages": messages,
            "/v1/tasks/{id}/events": path("get", "Follow a task's events (server-sent events; Last-Event-ID)", "200",
                json!({"description": "Events", "content": {"text/event-stream": {}}})),
            "/v1/tasks/{id}/artifacts": path("get", "List a task's files", "200", ok("Files")),
            "/v1/tasks/{id}/artifacts/{path}": path("get", "Fetch a file (Range, ETag)", "200", json!({"description": "The file"})),
            "/v1/uploads": {"post": {
                "summary": "Upload a file",
                "parameters": [{"name": "name", "in": "query", "schema": {"type": "string"}}],
                "requestBody": {"required": true, "content": {"application/octet-stream": {}}},
                "responses": {"201": ok("The upload"), "default": problem}}},
            "/healthz": {"get": {"summary": "Is it alive?", "security": [], "responses": {"200": ok("Yes")}}},
            "/readyz": {"get": {"summary": "Is it ready?", "security": [], "responses": {"200": ok("Yes")}}},
        },
    })
}
