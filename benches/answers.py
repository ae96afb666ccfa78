"""An endpoint of a language model on this machine that answers from a list. Python's own library is enough."""

import json
import pathlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def read(path: pathlib.Path) -> list[dict]:
    """Answers from a file: lines with `match`, a part of the prompt, and `reply`."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def serve(replies: list[dict]) -> str:
    """Starts the endpoint, which ends with the process; its base URL. The first line whose `match` is in the prompt answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            prompt = "\n".join(message["content"] for message in body["messages"])
            reply = next((line["reply"] for line in replies if line["match"] in prompt), "I have nothing to say.")
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
            usage = {"prompt_tokens": len(prompt) // 4, "completion_tokens": len(reply) // 4}
            text = json.dumps({"model": "answers", "choices": [choice], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}/v1"
