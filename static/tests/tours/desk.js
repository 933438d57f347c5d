import {fill, noDialog, press, see, seeState} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");
const MOST_CLICKS = 5;

let clicks = 0;
document.addEventListener("click", () => clicks++, true);

/** Go to the dashboard; getting there is no part of what is counted. */
const home = () => [
    {
        content: "Go to the dashboard",
        trigger: ".o_menu_brand",
        run: "click",
    },
    see(".o_finance_dashboard .o_finance_tiles", "The dashboard is there"),
];

/** Do something from the dashboard, and fail if it takes too many clicks. */
const inFiveClicks = (what, steps) => [
    ...home(),
    {
        content: `Count the clicks of: ${what}`,
        trigger: ".o_finance_dashboard",
        run() {
            clicks = 0;
        },
    },
    ...steps,
    {
        content: `Took at most ${MOST_CLICKS} clicks: ${what}`,
        trigger: "body",
        run() {
            if (!clicks || clicks > MOST_CLICKS) {
                throw new Error(`${what} took ${clicks} clicks`);
            }
        },
    },
];

/** Open an exception from the dashboard, by its code. */
const openException = (code) => [
    {
        content: `Open ${code}`,
        trigger: `.o_finance_urgent [data-code="${code}"]`,
        run: "click",
    },
    see(`.o_form_view .o_field_widget[name=code]:contains("${code}")`),
];

/** Open the list behind a figure, and its only row. */
const openTile = (key) => [
    {
        content: `Open what is behind ${key}`,
        trigger: `.o_finance_dashboard [data-tile="${key}"]`,
        run: "click",
    },
    {
        content: "Open its row",
        trigger: ".o_list_renderer .o_data_row .o_data_cell",
        run: "click",
    },
    see(".o_form_view .o_form_renderer"),
];

const confirmWith = (reason) => [
    fill("reason", reason, ".modal"),
    press("action_confirm", ".modal"),
    noDialog(),
];

const solve = (code, method, reason, state) =>
    inFiveClicks(code, [
        ...openException(code),
        press(method),
        ...confirmWith(reason),
        seeState(state),
    ]);

/** An operator solves alone what needs nobody else, and asks for the rest. */
tours.add("finance_hub_desk_operator", {
    steps: () => [
        ...inFiveClicks("T-DEADLETTER", [
            ...openException("T-DEADLETTER"),
            press("action_retry"),
            seeState("In Progress"),
        ]),
        ...inFiveClicks("B-UNMATCHED", [
            ...openException("B-UNMATCHED"),
            press("action_correct"),
            see(
                ".modal .o_field_widget[name=move_id] input:value(TOUR/2026/0001)",
                "The only invoice of this amount is suggested"
            ),
            fill("reason", "The customer confirmed the invoice", ".modal"),
            press("action_resubmit", ".modal"),
            noDialog(),
            seeState("In Progress"),
        ]),
        ...inFiveClicks("D-UNMAPPED", [
            ...openException("D-UNMAPPED"),
            press("action_map"),
            press("action_propose", ".modal"),
            noDialog(),
            seeState("Proposed"),
        ]),
        ...inFiveClicks("D-DUPLICATE-PARTY", [
            ...openException("D-DUPLICATE-PARTY"),
            press("action_decide_party"),
            {
                content: "Choose the one it is",
                trigger: '.modal .o_data_row:contains("Tour & Sons") button',
                run: "click",
            },
            see('.modal button[name="action_link"]', "It is chosen"),
            fill("reason", "They have written themselves so before", ".modal"),
            press("action_link", ".modal"),
            noDialog(),
            seeState("In Progress"),
        ]),
        ...solve("D-SCHEMA", "action_cancel", "A test of the shop's", "Cancelled"),
        ...solve("B-RETURNED", "action_solve", "They pay by card now", "Resolved"),
        ...solve("B-DISPUTE", "action_solve", "Sent the evidence", "Resolved"),
        ...solve("C-SIGNATURE", "action_solve", "The secret was rotated", "Resolved"),
        ...inFiveClicks("B-SHORTPAY", [
            ...openException("B-SHORTPAY"),
            press("action_waive"),
            ...confirmWith("Not worth the stamp"),
            see('.o_form_view .alert-warning:contains("asks to let this pass")'),
        ]),
    ],
});

/** An approver decides on what others ask for. */
tours.add("finance_hub_desk_approver", {
    steps: () => [
        ...inFiveClicks("the waiver", [
            ...openTile("waivers"),
            press("action_grant_waiver"),
            seeState("Cancelled"),
        ]),
        ...inFiveClicks("the mapping", [
            ...openTile("mappings"),
            press("action_approve"),
            seeState("Approved"),
        ]),
    ],
});

/** An administrator mends the connections. */
tours.add("finance_hub_desk_administrator", {
    steps: () => [
        ...inFiveClicks("T-GONE", [
            ...openException("T-GONE"),
            press("action_open_record"),
            {
                content: "Enter where it has moved to",
                trigger: ".o_form_view .o_field_widget[name=url] input",
                run(helpers) {
                    return helpers.edit(`${this.anchor.value}/moved`);
                },
            },
            press("action_resume"),
            seeState("Live"),
        ]),
        ...inFiveClicks("C-SIGNATURE", [
            ...openException("C-SIGNATURE"),
            press("action_open_record"),
            {
                content: "Rotate the secret",
                trigger: '.o_form_view button[name="action_generate"]:contains(Rotate)',
                run: "click",
            },
            {
                content: "Say yes",
                trigger: '.modal:contains("A new secret is made") .btn-primary',
                run: "click",
            },
            {
                content: "It was kept",
                trigger: ".modal .o_finance_secret_done",
                run: "click",
            },
            see("body:not(:has(.o_finance_secret))", "It is not shown again"),
        ]),
    ],
});

const COMMONEST = [
    "T-DEADLETTER",
    "T-GONE",
    "D-SCHEMA",
    "D-UNMAPPED",
    "D-DUPLICATE-PARTY",
    "B-UNMATCHED",
    "B-SHORTPAY",
    "B-RETURNED",
    "B-DISPUTE",
    "C-SIGNATURE",
];

/** An auditor reads all of them, and finds nothing to press. */
tours.add("finance_hub_desk_auditor", {
    steps: () =>
        COMMONEST.flatMap((code) => [
            ...home(),
            ...openException(code),
            see(
                ".o_form_view:not(:has(.o_form_statusbar .o_statusbar_buttons button:visible))",
                "No button to decide with"
            ),
            see(
                ".o_form_view:not(:has(.o_form_button_create, .o_form_button_save:visible))"
            ),
            see(".o-mail-Chatter", "What others did"),
            see(
                "body:not(:has(.o-mail-Chatter-sendMessage:enabled, .o-mail-Chatter-logNote:enabled))",
                "Nothing to say either"
            ),
        ]),
});
