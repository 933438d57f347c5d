import {openRow, press, see, seeRow} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

// Begins on the form of a paid invoice.
tours.add("finance_hub_timeline", {
    steps: () => [
        see('.o_form_view .o_field_widget[name=name]:contains("TOUR/2026/0002")'),
        press("action_open_finance_trace"),
        seeRow("Document"),
        seeRow("finance.invoice.posted.v2"),
        seeRow("msg_paid"),
        seeRow("payment.captured"),
        seeRow("execution: captured"),
        seeRow("finance.invoice.paid.v2"),
        ...openRow("msg_paid"),
        see(".o_form_view .o_field_widget[name=external_id]:contains(msg_paid)"),
        press("action_open_trace"),
        seeRow("finance.invoice.paid.v2"),
    ],
});

const screen = (section, entry, text) => [
    {
        content: `Open the menu ${section}`,
        trigger: `.o_menu_sections button:contains("${section}")`,
        run: "click",
    },
    {
        content: `Choose ${entry}`,
        trigger: `.o-dropdown--menu .dropdown-item:contains("${entry}")`,
        run: "click",
    },
    see(
        `.o_breadcrumb:contains("${entry}"), .o_last_breadcrumb_item:contains("${entry}")`,
        `The screen ${entry} is there`
    ),
    seeRow(text),
];

// Begins anywhere.
tours.add("finance_hub_menus", {
    steps: () => [
        {
            content: "Open the list of apps",
            trigger: ".o_navbar_apps_menu button",
            run: "click",
        },
        {
            content: "Choose the hub",
            trigger: '.o-dropdown--menu .dropdown-item:contains("Finance Integration")',
            run: "click",
        },
        see(".o_finance_dashboard .o_finance_connector", "Connectors are shown"),
        {
            content: "Open what is behind a figure",
            trigger: ".o_finance_dashboard [data-tile=unassigned]",
            run: "click",
        },
        seeRow("ORDER-4711"),
        ...screen("Going Out", "Events", "TOUR/2026/0001"),
        ...screen("Going Out", "Deliveries", "TOUR/2026/0001"),
        ...screen("Coming In", "Messages", "msg_garbage"),
        ...screen("Coming In", "Commands", "pay_unmatched"),
        ...screen("Coming In", "Transactions", "pay_paid"),
        ...screen("Connections", "Connectors", "Tour Shop"),
        ...screen("Connections", "Endpoints", "Tour Warehouse"),
        ...screen("Connections", "Subscriptions", "finance.invoice"),
        ...screen("Connections", "Credentials", "Secret inbound"),
    ],
});
