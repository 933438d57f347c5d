from odoo import http

from ..contracts import EVENT_TYPES, ContractError, json_schema
from .problem import json_response, problem_response

# Contracts change with releases only.
CACHE = [("Cache-Control", "public, max-age=300")]


class CatalogueController(http.Controller):
    """The published contracts: what ``dataschema`` of every event points at."""

    @http.route(
        "/finance/v1/event-types",
        type="http",
        auth="public",
        methods=["GET"],
        csrf=False,
        save_session=False,
    )
    def event_types(self):
        """List the event types there are."""
        return json_response(
            200,
            {
                "event_types": [
                    {
                        "type": declared.name,
                        "title": declared.title,
                        "description": declared.description,
                        "version": declared.version,
                        "owner": declared.owner,
                        "dataclass": declared.dataclass,
                        "schema": f"/finance/v1/event-types/{declared.name}/schema",
                    }
                    for declared in EVENT_TYPES.values()
                ]
            },
            CACHE,
        )

    @http.route(
        "/finance/v1/event-types/<string:name>/schema",
        type="http",
        auth="public",
        methods=["GET"],
        csrf=False,
        save_session=False,
    )
    def schema(self, name):
        """Return the JSON Schema of an event type's data."""
        try:
            return json_response(
                200, json_schema(name, http.request.httprequest.url_root), CACHE
            )
        except ContractError as error:
            return problem_response(
                404, error.code, "No such event type", error.message
            )
