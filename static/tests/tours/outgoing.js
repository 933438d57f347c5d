import {confirm, noButton, openPage, openRow, press, see, seeState} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

tours.add("finance_hub_events", {
    steps: () => [
        ...openRow("Invoice posted"),
        see(".o_field_widget[name=type]:contains(finance.invoice.posted.v2)"),
        see(
            ".o_field_widget[name=delivery_ids] .o_data_row:contains(Tour Warehouse)",
            "Where it went"
        ),
        openPage("content"),
        see('.o_field_widget[name=data_text]:contains("TOUR/2026/0001")'),
        see(".o_form_view:not(:has(.o_form_button_save:visible))", "Nothing to save"),
        press("action_open_record"),
        see('.o_form_view .o_field_widget[name=name]:contains("TOUR/2026/0001")'),
    ],
});

tours.add("finance_hub_deliveries", {
    steps: () => [
        ...openRow("TOUR/2026/0001"),
        seeState("Given Up"),
        see(".alert-danger:contains(did not take this event)"),
        {
            content: "Open the attempt",
            trigger: ".o_field_widget[name=attempt_ids] .o_data_row .o_data_cell",
            run: "click",
        },
        see(".modal .o_field_widget[name=status]:contains(500)"),
        see(".modal .o_field_widget[name=request_headers_text]:contains(webhook-id)"),
        openPage("response", ".modal"),
        see(".modal .o_field_widget[name=response_text]:contains({})"),
        {
            content: "Close the attempt",
            trigger: ".modal .btn-close",
            run: "click",
        },
        press("action_retry"),
        seeState("Waiting"),
    ],
});

tours.add("finance_hub_delivery_cancel", {
    steps: () => [
        ...openRow("TOUR/2026/0001"),
        press("action_cancel"),
        confirm(),
        seeState("Cancelled"),
        noButton("action_cancel"),
    ],
});
