"""What the service says of itself: the schema of its requests, and a page that shows it."""

from typing import Any

from styletransfer.settings.kinds import Number, Switch
from styletransfer.web import orders

_FILES = {
    "content": "the picture, or the film",
    "style": "a painting, or several",
    "style_mask": "where each style goes: gray, white is all of it; one a style",
    "content_mask": "where the content is kept: gray",
    "init": "the first image",
}


def body(kind: str) -> dict[str, Any]:
    """Return the OpenAPI description of the body of a request."""
    parameters: dict[str, Any] = {
        name: {"description": option.help, **_type(option.kind)}
        for name, option in orders.parameters(kind).items()
    }
    parameters["format"] = {
        "type": "string",
        "enum": [*orders.FORMATS[kind]],
        "description": "of the result",
    }
    parameters["model"] = {
        "type": "string",
        "enum": [*orders.MODELS[kind]],
        "description": "the network",
    }
    if kind == "optimise":
        parameters["preset"] = {"type": "string", "description": "parameters under a name"}
    schemas = {
        "multipart/form-data": {"type": "string", "format": "binary"},
        "application/json": {"type": "string", "contentEncoding": "base64"},
    }
    return {
        "required": True,
        "content": {
            form: {
                "schema": {
                    "type": "object",
                    "properties": {**_files(kind, file), **parameters} | _files(kind, file),
                    "required": ["content"],
                }
            }
            for form, file in schemas.items()
        },
    }


def _files(kind: str, file: dict[str, str]) -> dict[str, Any]:
    """Return the properties of the files that come with a kind of job."""
    found: dict[str, Any] = {}
    for name, most in orders.UPLOADS[kind].items():
        text = _FILES[name]
        if name == "style" and kind != "optimise":
            text += "; with another model than arbitrary a text: a style's number, or a blend"
        many = {"type": "array", "items": file, "maxItems": most}
        found[name] = {"description": text, **(file if most == 1 else many)}
    return found


def _type(kind: object) -> dict[str, Any]:
    if isinstance(kind, Number):
        return {"type": "integer" if kind.whole else "number"}
    if isinstance(kind, Switch):
        return {"type": "boolean"}
    words = getattr(kind, "words", None)
    return {"enum": [*words]} if words else {}


DOCUMENTATION = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>styletransfer: the service</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 1rem auto; padding: 0 1rem }
summary { cursor: pointer; padding: .4rem } code { background: #8882; padding: 0 .2rem }
td { vertical-align: top; padding: .1rem .8rem .1rem 0 } details { border-top: 1px solid #8884 }
:root { color-scheme: light dark }
</style></head><body>
<h1>The service</h1>
<p>As <a href="openapi.json">openapi.json</a>; <a href="./">the page</a> for people.</p>
<div id="paths">This list takes JavaScript.</div>
<script>
const add = (parent, tag, text) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
};
fetch("openapi.json").then(answer => answer.json()).then(api => {
  const all = document.getElementById("paths");
  all.textContent = "";
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, about] of Object.entries(methods)) {
      const entry = add(all, "details"), line = add(entry, "summary");
      add(line, "code", method.toUpperCase() + " " + path);
      line.append(" " + (about.summary || ""));
      const forms = about.requestBody ? about.requestBody.content : {};
      for (const [form, {schema}] of Object.entries(forms).slice(0, 1)) {
        add(entry, "p", Object.keys(forms).join(" or "));
        const table = add(entry, "table");
        for (const [name, facts] of Object.entries(schema.properties)) {
          const row = add(table, "tr");
          add(add(row, "td"), "code", name);
          const words = facts.enum ? " (" + facts.enum.join(", ") + ")" : "";
          add(row, "td", (facts.description || "") + words);
        }
      }
      add(entry, "p", "answers " + Object.keys(about.responses).join(", "));
    }
});
</script></body></html>
"""
"""A page of our own: those of FastAPI fetch their scripts from other servers."""
