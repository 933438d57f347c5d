import {noButton, noDialog, openPage, openRow, press, see, seeRow} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

const close = () => ({
    content: "Close the dialog",
    trigger: ".modal .modal-footer button:contains(Close)",
    run: "click",
});

/** An administrator tests an endpoint: first it fails, then it works. */
tours.add("finance_hub_test_event", {
    steps: () => [
        see(
            '.o_data_row:contains("Tour Warehouse") svg.o_finance_sparkline[aria-label*="1 failed"]',
            "The last day, in words for who can't see it"
        ),
        ...openRow("Tour Warehouse"),
        press("action_test"),
        see(
            ".modal .o_finance_ping_failed:contains(The receiver failed)",
            "See what went wrong"
        ),
        see(".modal .o_finance_ping_failed:contains(What to do)", "See what to do"),
        see(".modal [name=request_body]:contains(finance.connector.ping.v1)"),
        see(".modal [name=request_headers]:contains(webhook-signature)"),
        openPage("response", ".modal"),
        see(".modal [name=response_body]:contains({})"),
        {
            content: "Send another one",
            trigger: '.modal button[name="action_send_again"]',
            run: "click",
        },
        see(".modal .o_finance_ping_arrived:contains(It arrived)"),
        close(),
        noDialog(),
        see('.o-mail-Message:contains("Test event sent by Test administrator")'),
    ],
});

/** An operator sees how an endpoint is, and what was sent to it. */
tours.add("finance_hub_health", {
    steps: () => [
        ...openRow("Tour Warehouse"),
        noButton("action_test"),
        see('.o_field_widget[name="health_level"]:contains(Unwell)'),
        see('.o_field_widget[name="health_text"]:contains(Failing since)'),
        see("svg.o_finance_sparkline .o_finance_sparkline_failed"),
        press("action_open_dead"),
        seeRow("TOUR/2026/0001"),
        {
            content: "Back to the endpoint",
            trigger: ".o_breadcrumb .o_back_button, .breadcrumb-item a:contains(Tour)",
            run: "click",
        },
        press("action_open_attempts"),
        ...openRow("Tour Warehouse"),
        see('.o_field_widget[name="request_line"]:contains(POST http)'),
        see('.o_field_widget[name="body_check"]:contains(As it was sent)'),
        openPage("curl"),
        see('[name="curl"]:contains(curl --request POST)'),
    ],
});
