import {
    choose,
    confirm,
    fill,
    noDialog,
    openRow,
    press,
    save,
    see,
    seeState,
} from "./utils";
import {registry} from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** See a key, this once, and go on. */
const takeKey = () => [
    see('.modal .o_finance_secret_value:contains("fhk_")', "See the key"),
    {
        content: "It was kept",
        trigger: ".modal .o_finance_secret_done",
        run: "click",
    },
    noDialog(),
];

// An administrator makes a client, and sees its key once.
tours.add("finance_hub_client_setup", {
    steps: () => [
        {
            content: "Make a new one",
            trigger: ".o_list_button_add",
            run: "click",
        },
        fill("name", "Toured Reader"),
        ...choose("connector_id", "Tour Feeder"),
        ...choose("scope_ids", "event:read"),
        ...save(),
        seeState("No Key Yet"),
        press("action_generate"),
        ...takeKey(),
        seeState("Active"),
        see('.o_field_widget[name=key_prefix]:contains("fhk_")', "Its public part"),
        see(".o_form_view:not(:has(.o_finance_secret_value))", "It is not shown again"),
        {
            content: "Rotate",
            trigger: '.o_form_view button[name="action_generate"]:contains(Rotate)',
            run: "click",
        },
        confirm(),
        see(".modal .o_finance_secret:contains(stays valid until)"),
        ...takeKey(),
        see(".o_field_widget[name=previous_key_prefix]", "The one before, for a while"),
    ],
});

// What the other side needs to know stands on the endpoint.
tours.add("finance_hub_feed_endpoint", {
    steps: () => [
        ...openRow("Tour Feed"),
        see('.o_field_widget[name=feed_url]:contains("/finance/v1/events?feed=")'),
        see('.o_field_widget[name=feed_example]:contains("Authorization: Bearer")'),
        see('.o_field_widget[name=feed_client_ids]:contains("Toured Reader")'),
        see(".o_form_view:not(:has(.o_field_widget[name=url]))", "It needs no address"),
        see(".o_form_view:not(:has(.o_field_widget[name=retry_schedule]))"),
    ],
});
