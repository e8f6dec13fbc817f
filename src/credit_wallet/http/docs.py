"""The page about the API, to read and to try in a browser: Swagger UI, from files that this service has itself.

They come with the package ``offapi``, which brings a release of Swagger UI and does nothing else. It is not imported:
that would put everything it has into strings.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from litestar import Request, Response, get
from litestar.params import PathParameter

from credit_wallet.http.routing import NEEDS, packed_reply
from credit_wallet.wire.packing import Packed, packed
from credit_wallet.wire.problems import NotFound

PAGE_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
)
"""Of the page: it runs, shows and calls what is here and nothing else, and nobody may frame it. Pictures in the style
sheet are ``data:``."""

_FOR_EVER = "public, max-age=31536000, immutable"
_HERE = Path(__file__).with_name("docs_files")


class _File(NamedTuple):
    """What the page loads. Its name has a hash of its content, so that browsers may keep it."""

    name: str
    path: Path
    media_type: str


@get("/docs", media_type="text/html", include_in_schema=False, sync_to_thread=True, opt={NEEDS: None})
def show_docs() -> bytes:
    """The endpoints in a browser, to read and to try."""
    return _page()


@get("/docs/{name:str}", include_in_schema=False, sync_to_thread=True, opt={NEEDS: None})
def get_docs_file(request: Request[Any, Any, Any], name: Annotated[str, PathParameter()]) -> Response[bytes]:
    """A style sheet or a script of the page."""
    found = next((each for each in _files().values() if each.name == name), None)
    if found is None:
        raise NotFound("no such endpoint; see /openapi.json")
    return packed_reply(_content(found), found.media_type, request, {"cache-control": _FOR_EVER})


@cache
def _page() -> bytes:
    page = (_HERE / "docs.html").read_text(encoding="utf-8")
    for place, file in _files().items():
        page = page.replace(place, f"/docs/{file.name}")
    return page.encode()


@cache
def _files() -> dict[str, _File]:
    """What the page loads, by the word that stands for its address there."""
    spec = find_spec("offapi")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package offapi, which has the files of /docs, is not installed", name="offapi")
    swagger = Path(spec.origin).parent
    return {
        "SWAGGER_STYLE": _file(swagger / "swagger_style.css", "text/css"),
        "SWAGGER_SCRIPT": _file(swagger / "swagger_bundle.js", "text/javascript"),
        "OWN_STYLE": _file(_HERE / "docs.css", "text/css"),
        "OWN_SCRIPT": _file(_HERE / "docs.js", "text/javascript"),
    }


def _file(path: Path, media_type: str) -> _File:
    digest = sha256(path.read_bytes()).hexdigest()[:16]
    return _File(f"{path.stem.replace('_', '-')}-{digest}{path.suffix}", path, media_type)


@cache
def _content(file: _File) -> Packed:
    return packed(file.path.read_bytes())
