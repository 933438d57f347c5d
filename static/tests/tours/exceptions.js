import {
    choose,
    fill,
    noButton,
    noDialog,
    openPage,
    openRow,
    press,
    see,
    seeRow,
    seeState,
} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

tours.add("finance_hub_exception_retry", {
    steps: () => [
        seeRow("Tour Warehouse"),
        ...openRow("Tour Warehouse"),
        seeState("Open"),
        see(".o_field_widget[name=cause]:contains(500)", "The cause is said"),
        see(".o_field_widget[name=next_step]:contains(Retry)", "So is the remedy"),
        openPage("runbook"),
        see(".o_field_widget[name=runbook]:contains(Call the owner)"),
        press("action_assign_to_me"),
        see(".o_field_widget[name=user_id]:contains(Test operator)"),
        press("action_retry"),
        seeState("In Progress"),
    ],
});

tours.add("finance_hub_exception_correct", {
    steps: () => [
        ...openRow("ORDER-4711"),
        see(".o_field_widget[name=code]:contains(B-UNMATCHED)"),
        press("action_correct"),
        see(".modal .o_field_widget[name=problem]:contains(ORDER-4711)"),
        ...choose("move_id", "TOUR/2026/0001", ".modal"),
        {
            content: "The number of the invoice becomes the reference",
            trigger: ".modal .o_field_widget[name=content] textarea",
            run() {
                if (!this.anchor.value.includes("TOUR/2026/0001")) {
                    throw new Error(
                        `The content was not corrected: ${this.anchor.value}`
                    );
                }
            },
        },
        openPage("original", ".modal"),
        see(".modal .o_field_widget[name=original]:contains(ORDER-4711)"),
        fill("reason", "The customer confirmed the invoice", ".modal"),
        press("action_resubmit", ".modal"),
        noDialog(),
        seeState("In Progress"),
        noButton("action_correct"),
    ],
});

tours.add("finance_hub_exception_cancel", {
    steps: () => [
        ...openRow("ORDER-4711"),
        press("action_cancel"),
        fill("reason", "The shop refunded it", ".modal"),
        press("action_confirm", ".modal"),
        noDialog(),
        see(".o_field_widget[name=resolution]:contains(The shop refunded it)"),
        noButton("action_cancel"),
        noButton("action_retry"),
    ],
});

tours.add("finance_hub_exception_list", {
    steps: () => [
        {
            content: "Choose the row",
            trigger: '.o_data_row:contains("ORDER-4711") .o_list_record_selector input',
            run: "click",
        },
        press("action_assign_to_me", ".o_list_view"),
        see(
            '.o_data_row:contains("ORDER-4711")' +
                " .o_field_widget[name=user_id]:has(img)",
            "It is assigned"
        ),
    ],
});

tours.add("finance_hub_exception_auditor", {
    steps: () => [
        ...openRow("ORDER-4711"),
        see(".o_field_widget[name=summary]:contains(ORDER-4711)"),
        seeState("Open"),
        noButton("action_retry"),
        noButton("action_correct"),
        noButton("action_assign_to_me"),
        noButton("action_cancel"),
        see(".o_form_view:not(:has(.o_form_button_save:visible))", "Nothing to save"),
        press("action_open_record"),
        see('.o_form_view .o_field_widget[name=data_text]:contains("ORDER-4711")'),
        noButton("action_retry"),
        noButton("action_correct"),
    ],
});
