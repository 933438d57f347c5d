import {noButton, openPage, openRow, press, see, seeState} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

tours.add("finance_hub_messages", {
    steps: () => [
        ...openRow("msg_garbage"),
        seeState("Failed"),
        openPage("content"),
        see(".o_field_widget[name=body_text]:contains(this is no message)"),
        openPage("headers"),
        see(".o_field_widget[name=headers_text]:contains(Content-Type)"),
        press("action_retry"),
        seeState("Received"),
        noButton("action_retry"),
    ],
});

tours.add("finance_hub_message_arrivals", {
    steps: () => [
        ...openRow("msg_paid"),
        seeState("Processed"),
        see(".o_field_widget[name=command_ids] .o_data_row:contains(Applied)"),
        openPage("duplicates"),
        see(".o_field_widget[name=duplicate_ids] .o_data_row:contains(127.0.0.1)"),
    ],
});

tours.add("finance_hub_commands", {
    steps: () => [
        ...openRow("pay_unmatched"),
        seeState("Failed"),
        see(".alert-danger:contains(ORDER-4711)"),
        press("action_retry"),
        seeState("Received"),
        noButton("action_retry"),
        noButton("action_correct"),
    ],
});

tours.add("finance_hub_command_result", {
    steps: () => [
        ...openRow("pay_paid"),
        seeState("Applied"),
        press("action_open_result"),
        see(".o_form_view .o_field_widget[name=memo]:contains(TOUR/2026/0002)"),
    ],
});

tours.add("finance_hub_transactions", {
    steps: () => [
        ...openRow("pay_paid"),
        see(".o_field_widget[name=move_id]:contains(TOUR/2026/0002)"),
        see(".o_field_widget[name=execution]:contains(Captured)"),
        see(".o_field_widget[name=transition_ids] .o_data_row:contains(Captured)"),
        see(".o_field_widget[name=transition_ids] .o_data_row:contains(Posted)"),
        press("action_open_trace"),
        see(".o_list_renderer .o_data_row:contains(msg_paid)"),
    ],
});
