"""The service's routes, with a worker that makes nothing; who may ask, and for how much."""

import base64
import json
import random

import pytest
from fastapi.testclient import TestClient

from styletransfer.errors import UsageError
from styletransfer.web import orders
from styletransfer.web.access import Rate, Refusal
from styletransfer.web.limits import Limits
from styletransfer.web.server import protected
from tests.web.conftest import LIMITS, clip, ended, picture, reached

TOKEN = "a-token-of-the-test"
HERE = "http://127.0.0.1:7860"


@pytest.fixture
def client(queue):
    app = protected(queue, LIMITS, None, True, page=False)
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def guarded(queue):
    app = protected(queue, LIMITS, TOKEN, False, page=False)
    with TestClient(app, base_url="http://server.example", raise_server_exceptions=False) as client:
        yield client


def files(**more):
    """Return the files of a request."""
    return {"content": ("a.png", picture()), "style": ("b.png", picture(20, 20)), **more}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def refused(answer, status: int, *words: str) -> None:
    """Check that a request was refused in a sentence."""
    assert answer.status_code == status, answer.text
    assert [*answer.json()] == ["error"]
    sentence = answer.json()["error"]
    assert all(word in sentence for word in words), sentence
    assert "Traceback" not in sentence
    assert "/state/" not in sentence
    assert len(sentence) < 1200


def test_a_form_is_queued_made_and_handed_out(client, queue, worker):
    answer = client.post("/api/stylize", files=files(), data={"length": "64", "format": "jpg"})
    assert answer.status_code == 202
    name = answer.json()["id"]
    assert ended(queue, name).state == "done"
    state = client.get(f"/api/jobs/{name}").json()
    assert (state["state"], state["progress"], state["size"]) == ("done", 1.0, [4, 3])
    assert state["settings"] == {"length": "64", "format": "jpg"}
    assert worker.jobs[0]["files"] == {"content": ["content-0.png"], "style": ["style-0.png"]}
    result = client.get(state["result"])
    assert result.content == b"a picture"
    assert result.headers["content-type"] == "image/png"
    coded = client.get(f"{state['result']}?as=json").json()
    assert base64.b64decode(coded["result"]) == b"a picture"
    assert client.delete(f"/api/jobs/{name}").json()["state"] == "deleted"
    refused(client.get(f"/api/jobs/{name}"), 404, "there is no such job")


def test_json_with_base64_is_queued(client, queue, worker):
    body = {
        "content": f"data:image/jpeg;base64,{text(picture(kind='JPEG'))}",
        "style": [text(picture()), text(picture())],
        "style_weights": [1, 2],
        "model": "googlenet",
        "any_size": True,
        "style_layers": {"conv1/7x7_s2": 1},
    }
    name = client.post("/api/optimise", json=body).json()["id"]
    assert ended(queue, name).state == "done"
    job = worker.jobs[0]
    assert job["values"]["style_weights"] == [1, 2]
    assert job["files"] == {"content": ["content-0.jpg"], "style": ["style-0.png", "style-1.png"]}
    # A network's own style goes by its number, not by a file.
    own = {"content": text(picture()), "model": "samples", "style": "26"}
    name = client.post("/api/stylize", json=own).json()["id"]
    assert ended(queue, name).values["style"] == "26"
    assert "style" not in worker.jobs[1]["files"]


def test_a_film_by_optimisation_is_queued(client, queue, worker):
    body = {"content": text(clip()), "style": text(picture()), "model": "googlenet", "n_iter": 5}
    name = client.post("/api/film", json=body).json()["id"]
    assert ended(queue, name).values == {"model": "googlenet", "n_iter": 5}
    assert worker.jobs[0]["files"]["style"] == ["style-0.png"]
    del body["style"]
    refused(client.post("/api/film", json=body), 400, "there is no style; send one picture")


def test_states_on_the_way(client, queue, worker):
    worker.script.append("wait")
    first = client.post("/api/stylize", files=files()).json()["id"]
    reached(queue, first, "running")
    second = client.post("/api/stylize", files=files()).json()["id"]
    assert client.get(f"/api/jobs/{second}").json()["before"] == 0
    step = {"done": 0.25, "iteration": 5, "iterations": 20, "loss": 2.5, "seconds": 3.0}
    worker.go_on({"progress": step})
    queue.wait(first, 1, 20)
    state = client.get(f"/api/jobs/{first}").json()
    assert (state["progress"], state["loss"], state["eta"]) == (0.25, 2.5, 9.0)
    refused(client.get(f"/api/jobs/{first}/result"), 409, "the job is running")
    refused(client.get(f"/api/jobs/{first}/preview"), 404, "no such picture yet")
    assert client.delete(f"/api/jobs/{second}").json()["state"] == "cancelled"
    client.delete(f"/api/jobs/{first}")
    assert ended(queue, first).state == "cancelled"
    assert client.get(f"/api/jobs/{first}/result").status_code == 200  # what there is stays


def test_a_full_queue_says_when_to_come_back(client, queue, worker):
    worker.script.append("wait")
    reached(queue, client.post("/api/stylize", files=files()).json()["id"], "running")
    for _ in range(LIMITS.waiting):
        assert client.post("/api/stylize", files=files()).status_code == 202
    answer = client.post("/api/stylize", files=files())
    refused(answer, 503, "try again later")
    assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("stylize", {"length": "600"}, "length is 600; 512 pixels are the most here"),
        ("stylize", {"length": "x"}, "length is 'x'; give a number"),
        ("stylize", {"style_scale": "0.05"}, "is the least here"),
        ("stylize", {"strength": "2"}, "strength is '2'; give a number from 0 to 1"),
        ("stylize", {"model": "/etc/passwd"}, "there is no network /etc/passwd here"),
        ("stylize", {"model": "sampels"}, "did you mean samples?"),
        ("stylize", {"order": "BGR"}, "there is no parameter order"),
        ("stylize", {"format": "exe"}, "format is exe; give one of png, jpg, webp"),
        ("stylize", {"model": "samples"}, "samples has styles of its own"),
        ("optimise", {"model": "models/vgg16"}, "there is no network models/vgg16 here"),
        ("optimise", {"init": "/etc/secret.png"}, "init is the name of a file"),
        ("optimise", {"preset": "/etc/x.toml"}, "there is no preset /etc/x.toml"),
        ("optimise", {"preset": ["fast", "demo"]}, "there is no preset"),
        ("optimise", {"length": "5000"}, "length makes 5000 pixels"),
        ("optimise", {"style_scale": "9"}, "style_scale makes"),
        ("optimise", {"threads": "64"}, "there is no parameter threads"),
        ("optimise", {"gpu_id": "0"}, "there is no parameter gpu_id"),
        ("optimise", {"models": "/tmp"}, "there is no parameter models; "),
        ("optimise", {"like": "x.png"}, "there is no parameter like"),
        ("optimise", {"output": "/tmp/x"}, "there is no parameter output"),
        ("optimise", {"any_size": "maybe"}, "any_size is 'maybe'; give true or false"),
        ("film", {"fps": "0"}, "fps is '0'"),
        ("film", {"n_iter": "5"}, "there is no parameter 'n_iter'"),
        ("film", {"model": "googlenet", "strength": "1"}, "there is no parameter 'strength'"),
        ("film", {"model": "googlenet", "length": "600"}, "length makes 600 pixels"),
        ("film", {"model": "googlenet", "init": "/etc/secret.png"}, "init is the name of a file"),
        ("film", {"model": "googlenet", "preset": "fast"}, "there is no parameter preset"),
    ],
)
def test_parameters_that_cannot_be(client, queue, kind, values, words):
    refused(client.post(f"/api/{kind}", files=files(), data=values), 400, words)
    assert queue.jobs() == []
    assert not [*queue.folder("x" * 22).parent.iterdir()]


def test_stages_make_no_larger_pictures():
    stage = {"length": 50, "ratio": 1, "n_iter": 1}
    values = {"length": 100, "stages": [{**stage, "length": 1}, stage]}
    with pytest.raises(UsageError, match="length makes 5000 pixels; 512 are the most here"):
        orders.check("optimise", values, {"content": ["a"], "style": ["b"]}, LIMITS)


def test_files_that_cannot_be(client):
    def post(kind="stylize", **more):
        return client.post(f"/api/{kind}", files=files(**more))

    refused(post(content=("x.png", b"#!/bin/sh")), 400, "content: no picture that can be read")
    refused(post(content=("x.png", picture(400, 300))), 400, "content has 400x300 pixels")
    # A name that leads elsewhere is not used.
    assert post(content=("../../../../etc/cron.d/x.png", picture())).status_code == 202
    refused(post(machine=("x", b"x")), 400, "there is no file machine to send")
    refused(client.post("/api/stylize", data={"content": "/etc/passwd"}, files={"style": b""}), 400)
    refused(client.post("/api/stylize", files={"style": picture()}), 400, "there is no content")
    refused(client.post("/api/stylize", files={"content": picture()}), 400, "there is no style")
    many = [("content", picture()), *[("style", picture())] * 9]
    refused(client.post("/api/optimise", files=many), 400, "there are 9 of style")


def test_bombs(client):
    small = picture(2, 2)
    # What declares 60000 x 60000 pixels is refused before anything is decoded.
    huge = small[:16] + (60_000).to_bytes(4, "big") * 2 + small[24:]
    refused(client.post("/api/stylize", files=files(content=huge)), 400, "content")
    deep = "[" * 200_000
    headers = {"content-type": "application/json"}
    refused(client.post("/api/stylize", content=deep, headers=headers), 400, "no JSON")
    number = '{"length": ' + "9" * 10_000 + "}"
    refused(client.post("/api/stylize", content=number, headers=headers), 400)


def test_fuzzed_bodies_are_refused_in_a_sentence(client, queue):
    generator = random.Random(0)
    form = client.build_request("POST", "/api/optimise", files=files(), data={"length": "64"})
    coded = json.dumps({"content": text(picture()), "style": text(picture()), "length": 64})
    bodies = [(form.read(), form.headers["content-type"]), (coded.encode(), "application/json")]
    for turn in range(120):
        body, kind = bodies[turn % 2]
        changed = bytearray(body)
        for _ in range(generator.randrange(1, 12)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        changed = changed[: generator.randrange(len(changed))] if turn % 3 == 0 else changed
        answer = client.post(
            "/api/optimise", content=bytes(changed), headers={"content-type": kind}
        )
        if answer.status_code not in (202, 503):
            refused(answer, 400)
    answer = client.post("/api/stylize", content=b"x", headers={"content-type": "text/plain"})
    refused(answer, 400, "send a form")
    answer = client.post(
        "/api/stylize", content=b"x", headers={"content-type": "multipart/form-data"}
    )
    refused(answer, 400)


def test_ids_of_others_and_ways_out(client, queue, submit):
    name = submit()
    ended(queue, name)
    for other in ("x", name[:-1] + "_", "..%2f" + name, "%2e%2e", "." * 400, name + "%00"):
        for path in (f"/api/jobs/{other}", f"/api/jobs/{other}/result"):
            refused(client.get(path), 404)
    refused(client.get("/api/jobs/../../etc/passwd"), 404)
    refused(client.get(f"/api/jobs/{name}/job.json"), 404)
    refused(client.get("/api/jobs"), 404)
    refused(client.put(f"/api/jobs/{name}"), 405)


def test_bodies_are_bounded_while_they_come(client):
    sent = 0

    def endless():
        nonlocal sent
        while True:
            sent += 1 << 16
            yield bytes(1 << 16)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    body = b"--x\r\ncontent-disposition: form-data; name=content; filename=a\r\n\r\n"

    def form():
        yield body
        for part in endless():
            if sent > 3 << 20:
                return
            yield part

    refused(client.post("/api/stylize", content=form(), headers=headers), 413, "1 MB are the most")
    long = {"content-length": str(2 << 20), **headers}
    refused(client.post("/api/stylize", content=b"", headers=long), 413, "1 MB are the most")
    odd = {"content-length": "-1", **headers}
    refused(client.post("/api/stylize", content=b"", headers=odd), 413)


def test_only_this_machine_by_its_own_name(client):
    for host in ("127.0.0.1:7860", "localhost", "[::1]:80", "LOCALHOST:1"):
        assert client.get("/health", headers={"host": host}).json() == {"status": "ok"}
    for host in ("evil.example", "127.0.0.1.evil.example:7860", ""):
        refused(client.get("/health", headers={"host": host}), 421, "no name of this server")


def test_pages_of_other_servers_may_not_ask(client):
    for origin in (
        "https://evil.example",
        "null",
        "http://127.0.0.1:80",
        "http://localhost:7860",
        "x://[",
    ):
        answer = client.post("/api/stylize", files=files(), headers={"origin": origin})
        refused(answer, 403, "other servers")
        assert "access-control-allow-origin" not in answer.headers
    own = {"origin": HERE}
    assert client.post("/api/stylize", files=files(), headers=own).status_code == 202
    other = {"sec-fetch-site": "cross-site"}
    refused(client.delete("/api/jobs/x", headers=other), 403)
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    refused(client.options("/api/stylize", headers=asked), 403)


def test_a_token_is_needed(guarded):
    for path in ("/", "/docs", "/openapi.json", "/api/jobs/x", "/gradio_api/info"):
        answer = guarded.get(path)
        refused(answer, 401, "a token is needed")
        assert answer.headers["www-authenticate"] == "Bearer"
    refused(guarded.post("/api/stylize", files=files()), 401)
    assert guarded.get("/health").status_code == 200
    for wrong in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
        refused(guarded.get("/docs", headers={"authorization": wrong.encode()}), 401)
    refused(guarded.get("/docs?token=é&token="), 401)
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert guarded.post("/api/stylize", files=files(), headers=headers).status_code == 202


def test_a_token_in_an_address_becomes_a_cookie(guarded):
    answer = guarded.get(
        f"http://server.example//evil.example/docs?x=1&token={TOKEN}", follow_redirects=False
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/evil.example/docs?x=1"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/docs").status_code == 200  # the client keeps it
    guarded.cookies.clear()
    refused(guarded.get("/docs", headers={"cookie": "styletransfer=x"}), 401)
    refused(guarded.post(f"/api/stylize?token={TOKEN}", files=files()), 401)


def test_many_requests_are_told_to_wait(queue):
    app = protected(queue, Limits(rate=2, upload=1 << 20), TOKEN, False, page=False)
    with TestClient(app, base_url="http://server.example") as client:
        headers = {"authorization": f"Bearer {TOKEN}"}
        for _ in range(2):
            assert client.post("/api/stylize", files=files(), headers=headers).status_code == 202
        answer = client.post("/api/stylize", files=files(), headers=headers)
        refused(answer, 429, "too many requests")
        assert 1 <= int(answer.headers["retry-after"]) <= 31
        refused(client.get("/docs"), 429)  # guessing tokens


def test_rates_are_by_address_and_fill_up_again(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("styletransfer.web.access.time.monotonic", lambda: now[0])
    rate = Rate(2)
    for address in ("a", "a", "b"):
        rate.take(address)
    with pytest.raises(Refusal) as error:
        rate.take("a")
    assert error.value.headers == {"retry-after": "30"}
    now[0] += 30
    rate.take("a")
    for number in range(20_000):
        rate.take(str(number))
    assert len(rate._left) <= 10_000


def test_the_service_describes_itself_without_other_servers(client):
    api = client.get("/openapi.json").json()
    body = api["paths"]["/api/optimise"]["post"]["requestBody"]["content"]
    properties = body["application/json"]["schema"]["properties"]
    assert properties["style"]["type"] == "array"
    assert properties["n_iter"]["type"] == "integer"
    assert properties["model"]["enum"] == ["vgg16", "vgg19", "googlenet", "caffenet"]
    page = client.get("/docs")
    assert "http" not in page.text.replace(HERE, "")
    assert "default-src 'self'" in page.headers["content-security-policy"]
