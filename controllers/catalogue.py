from functools import lru_cache

from odoo import http
from odoo.http import request
from odoo.modules.module import Manifest

from ..contracts import (
    CONTENT_TYPE_STRUCTURED,
    EVENT_TYPES,
    ContractError,
    asyncapi,
    dump_json,
    event_type,
    json_schema,
    manifest_schema,
    model_fields,
    newest,
    sample_event,
    versions,
)
from .problem import problem_response

# Contracts change with releases only. Asked again after that, the answer is 304.
CACHE_CONTROL = "public, max-age=300"
# How many prepared answers are kept: the documents are the same for every reader, but
# hold the address under which the hub was asked.
CACHE_SIZE = 256
CACHE_SIZE_ASYNCAPI = 4

JSON = "application/json"
SCHEMA = "application/schema+json"

ROUTE = {
    "type": "http",
    "auth": "public",
    "methods": ["GET"],
    "csrf": False,
    "save_session": False,
    "readonly": True,
}


class CatalogueController(http.Controller):
    """The published contracts: what ``dataschema`` of every event points at."""

    @http.route("/finance/v1/event-types", **ROUTE)
    def event_types(self):
        """List the event types there are, all versions."""
        return _cached(JSON, _listing)

    @http.route("/finance/v1/event-types/<string:name>", **ROUTE)
    def event_type(self, name):
        """Describe an event type; without a version, its newest one."""
        return _of_type(JSON, _detail, name)

    @http.route("/finance/v1/event-types/<string:name>/schema", **ROUTE)
    def schema(self, name):
        """Return the JSON Schema of an event type's data."""
        return _of_type(SCHEMA, _schema, name)

    @http.route("/finance/v1/event-types/<string:name>/sample", **ROUTE)
    def sample(self, name):
        """Return an event of the type as it is sent in structured mode."""
        return _of_type(CONTENT_TYPE_STRUCTURED, _sample, name)

    @http.route("/finance/v1/asyncapi.json", **ROUTE)
    def asyncapi(self):
        """Return the AsyncAPI 3.0 document of all events and commands."""
        return _cached(JSON, _asyncapi)

    @http.route("/finance/v1/batch-manifest/schema", **ROUTE)
    def manifest_schema(self):
        """Return the JSON Schema of the manifest beside a batch file."""
        return _cached(SCHEMA, _manifest)


# === ANSWERS === #


def _of_type(content_type, make, name):
    try:
        declared = EVENT_TYPES.get(name) or newest(name)
    except ContractError as error:
        return problem_response(404, error.code, "No such event type", error.message)
    return _cached(content_type, make, declared.name)


def _cached(content_type, make, *arguments):
    """Answer with a prepared body, or with 304 when the reader has it already."""
    response = request.make_response(
        make(request.httprequest.url_root.rstrip("/"), *arguments),
        headers=[("Content-Type", content_type), ("Cache-Control", CACHE_CONTROL)],
    )
    response.add_etag()
    return response.make_conditional(request.httprequest.environ)


# === BODIES === #


def _summary(base_url, declared):
    address = f"{base_url}/finance/v1/event-types/{declared.name}"
    return {
        "type": declared.name,
        "object": declared.object,
        "title": declared.title,
        "description": declared.description,
        "version": declared.version,
        "versions": list(versions(declared.name)),
        "newest": not declared.deprecated,
        "deprecated": declared.deprecated,
        "owner": declared.owner,
        "dataclass": declared.dataclass,
        "url": address,
        "schema": f"{address}/schema",
        "sample": f"{address}/sample",
    }


@lru_cache(maxsize=CACHE_SIZE)
def _listing(base_url):
    return dump_json(
        {
            "event_types": [
                _summary(base_url, declared) for declared in EVENT_TYPES.values()
            ],
            "asyncapi": f"{base_url}/finance/v1/asyncapi.json",
        }
    )


@lru_cache(maxsize=CACHE_SIZE)
def _detail(base_url, name):
    declared = event_type(name)
    return dump_json(
        {
            **_summary(base_url, declared),
            "fields": [
                {
                    "path": field.path,
                    "type": field.kind,
                    "list": field.many,
                    "required": field.required,
                    "classification": field.classification,
                    "description": field.description,
                    **({"values": field.values} if field.values else {}),
                }
                for field in model_fields(declared.model)
            ],
            "data_schema": json_schema(name, base_url),
            "example": sample_event(name, base_url),
        }
    )


@lru_cache(maxsize=CACHE_SIZE)
def _schema(base_url, name):
    return dump_json(json_schema(name, base_url))


@lru_cache(maxsize=CACHE_SIZE)
def _sample(base_url, name):
    return dump_json(sample_event(name, base_url))


@lru_cache(maxsize=CACHE_SIZE_ASYNCAPI)
def _asyncapi(base_url):
    return dump_json(asyncapi(base_url, Manifest.for_addon("finance_hub").version))


@lru_cache(maxsize=CACHE_SIZE)
def _manifest(base_url):
    return dump_json(manifest_schema(base_url))
