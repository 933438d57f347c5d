import {
    choose,
    confirm,
    fill,
    noButton,
    noDialog,
    openPage,
    openRow,
    press,
    save,
    see,
    seeRow,
    seeState,
} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

const create = () => ({
    content: "Make a new one",
    trigger: ".o_list_button_add",
    run: "click",
});

const addLine = (field) => ({
    content: `Add a line to ${field}`,
    trigger: `.o_field_widget[name="${field}"] .o_field_x2many_list_row_add a`,
    run: "click",
});

const saveDialog = () => [
    {
        content: "Save the dialog",
        trigger: ".modal .o_form_button_save",
        run: "click",
    },
    noDialog(),
];

/** See a secret, this once, and go on. */
const takeSecret = () => [
    see('.modal .o_finance_secret_value:contains("whsec_")', "See the secret"),
    {
        content: "It was kept",
        trigger: ".modal .o_finance_secret_done",
        run: "click",
    },
    noDialog(),
];

// An administrator sets a connector up, from nothing to the request to go live.
tours.add("finance_hub_connector_setup", {
    steps: () => [
        create(),
        fill("name", "Toured Ledger"),
        fill("code", "toured-ledger"),
        openPage("runbook"),
        {
            content: "Write the runbook",
            trigger: ".o_field_widget[name=runbook] .odoo-editor-editable",
            run: "editor Call the ledger team",
        },
        ...save(),
        openPage("credentials"),
        addLine("credential_ids"),
        fill("name", "Ledger secret", ".modal"),
        ...saveDialog(),
        ...save(),
        openPage("endpoints"),
        addLine("endpoint_ids"),
        fill("name", "Ledger address", ".modal"),
        fill("url", "https://example.com/hook", ".modal"),
        ...choose("credential_id", "Ledger secret", ".modal"),
        ...saveDialog(),
        ...save(),
        press("action_request_review"),
        see('.modal:contains("signing secret for endpoint")', "Not yet: it says why"),
        confirm(),
        noDialog(),
        seeState("Draft"),
    ],
});

tours.add("finance_hub_credential_generate", {
    steps: () => [
        ...openRow("Ledger secret"),
        seeState("No Secret Yet"),
        press("action_generate"),
        ...takeSecret(),
        seeState("Active"),
        see('.o_field_widget[name=secret_hint]:contains("whsec_****")', "Masked"),
        see(".o_form_view:not(:has(.o_finance_secret_value))", "It is not shown again"),
    ],
});

tours.add("finance_hub_connector_request", {
    steps: () => [
        ...openRow("Toured Ledger"),
        press("action_request_review"),
        seeState("In Review"),
        see(".alert-info:contains(Waiting for an approver)"),
        noButton("action_approve"),
    ],
});

tours.add("finance_hub_connector_approve", {
    steps: () => [
        ...openRow("Toured Ledger"),
        seeState("In Review"),
        openPage("runbook"),
        see(".o_field_widget[name=runbook]:contains(Call the ledger team)"),
        press("action_approve"),
        confirm(),
        seeState("Live"),
        noButton("action_approve"),
    ],
});

tours.add("finance_hub_connector_suspend", {
    steps: () => [
        ...openRow("Tour Shop"),
        press("action_suspend"),
        confirm(),
        seeState("Suspended"),
        press("action_resume"),
        seeState("Live"),
        press("action_open_exceptions"),
        seeRow("ORDER-4711"),
    ],
});

tours.add("finance_hub_endpoints", {
    steps: () => [
        ...openRow("Tour Warehouse"),
        press("action_suspend"),
        seeState("Suspended"),
        see(".alert-warning:contains(by Test administrator)"),
        press("action_resume"),
        seeState("Live"),
        fill("retry_schedule", "soon"),
        {
            content: "Try to save nonsense",
            trigger: ".o_form_view .o_form_button_save",
            run: "click",
        },
        see(".modal:contains(is not a number of seconds)", "It says what is wrong"),
        confirm(),
        noDialog(),
        fill("retry_schedule", "0, 60"),
        ...save(),
    ],
});

tours.add("finance_hub_subscriptions", {
    steps: () => [
        create(),
        fill("name", "Toured subscription"),
        ...choose("endpoint_id", "Tour Warehouse"),
        fill("patterns", "finance.payment.*"),
        {
            content: "Leave the field",
            trigger: '.o_form_view .o_field_widget[name="name"] input',
            run: "click",
        },
        see(
            ".o_field_widget[name=matched_types]:contains(finance.payment.created.v1)",
            "What that is, is shown at once"
        ),
        ...save(),
    ],
});

tours.add("finance_hub_credential_rotate", {
    steps: () => [
        ...openRow("Secret inbound"),
        seeState("Active"),
        {
            content: "Rotate",
            trigger: '.o_form_view button[name="action_generate"]:contains(Rotate)',
            run: "click",
        },
        confirm(),
        see(".modal .o_finance_secret:contains(stays valid until)"),
        ...takeSecret(),
        see(".o_field_widget[name=previous_valid_until]", "How long the old one lives"),
        press("action_revoke"),
        confirm(),
        seeState("Revoked"),
    ],
});

// The same from within the connector, where its credentials are listed.
tours.add("finance_hub_credential_in_connector", {
    steps: () => [
        ...openRow("Tour Shop"),
        openPage("credentials"),
        {
            content: "Open the credential",
            trigger: ".o_field_widget[name=credential_ids] .o_data_row .o_data_cell",
            run: "click",
        },
        {
            content: "Rotate",
            trigger: '.modal button[name="action_generate"]:contains(Rotate)',
            run: "click",
        },
        {
            content: "Say yes",
            trigger: '.modal:contains("A new secret is made") .btn-primary',
            run: "click",
        },
        see('.modal .o_finance_secret_value:contains("whsec_")', "See the secret"),
        {
            content: "It was kept",
            trigger: ".modal .o_finance_secret_done",
            run: "click",
        },
        see("body:not(:has(.o_finance_secret))", "It is not shown again"),
    ],
});
