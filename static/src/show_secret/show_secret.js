import {Component, useState} from "@odoo/owl";
import {browser} from "@web/core/browser/browser";
import {registry} from "@web/core/registry";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";
import {useService} from "@web/core/utils/hooks";

/**
 * Shows a new secret this one time. It arrives in the answer of the button that made
 * it and lives only in this component: no record, no session keeps it in clear.
 */
export class ShowSecret extends Component {
    static template = "finance_hub.ShowSecret";
    static props = {...standardActionServiceProps};

    setup() {
        this.action = useService("action");
        this.state = useState({copied: false});
    }

    get params() {
        return this.props.action.params;
    }

    async onCopy() {
        await browser.navigator.clipboard.writeText(this.params.secret);
        this.state.copied = true;
    }

    onClose() {
        this.action.doAction({type: "ir.actions.act_window_close"});
    }
}

registry.category("actions").add("finance_hub.show_secret", ShowSecret);
