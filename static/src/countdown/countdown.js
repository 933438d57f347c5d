import {Component, onWillUnmount, useState} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {formatDateTime} from "@web/core/l10n/dates";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

const {DateTime} = luxon;
const MINUTE = 60 * 1000;
// Below this many hours it is nearly late.
const SOON_HOURS = 2;

/**
 * How long there is until something is due, or how late it is; moves on by itself.
 */
export class Countdown extends Component {
    static template = "finance_hub.Countdown";
    static props = {...standardFieldProps};

    setup() {
        this.state = useState({now: DateTime.now()});
        const timer = window.setInterval(() => {
            this.state.now = DateTime.now();
        }, MINUTE);
        onWillUnmount(() => window.clearInterval(timer));
    }

    get due() {
        return this.props.record.data[this.props.name];
    }

    get isOver() {
        return "is_open" in this.props.record.data && !this.props.record.data.is_open;
    }

    get hours() {
        return this.due.diff(this.state.now, "hours").hours;
    }

    get level() {
        if (this.isOver) {
            return "";
        }
        if (this.hours < 0) {
            return "text-danger fw-bold";
        }
        return this.hours < SOON_HOURS ? "text-warning fw-bold" : "";
    }

    get title() {
        return this.due ? formatDateTime(this.due) : "";
    }

    get text() {
        if (!this.due) {
            return "";
        }
        if (this.isOver) {
            return this.title;
        }
        const span = this.span(Math.abs(this.hours));
        return this.hours < 0 ? _t("%s late", span) : _t("in %s", span);
    }

    span(hours) {
        if (hours < 1) {
            return _t("%s min", Math.max(1, Math.round(hours * 60)));
        }
        if (hours < 48) {
            return _t("%s h", Math.floor(hours));
        }
        return _t("%s days", Math.floor(hours / 24));
    }
}

registry.category("fields").add("finance_countdown", {
    component: Countdown,
    supportedTypes: ["datetime"],
});
