import {Component, onWillStart, onWillUnmount, useState} from "@odoo/owl";
import {deserializeDateTime, formatDateTime} from "@web/core/l10n/dates";
import {KeepLast} from "@web/core/utils/concurrency";
import {Layout} from "@web/search/layout";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardActionServiceProps} from "@web/webclient/actions/action_service";
import {useService} from "@web/core/utils/hooks";

// Milliseconds between two looks; none while nobody sees the page.
const REFRESH = 30000;
const PERIOD_KEY = "finance_hub.dashboard.period";
// In units of the picture, whatever its size on the screen.
const BAR = 4;
const GAP = 1;
const HEIGHT = 36;

/**
 * One series of the trends as bars; each says what it stands for.
 */
export class TrendBars extends Component {
    static template = "finance_hub.TrendBars";
    static props = {series: Object, labels: Array, step: Number};

    get viewBox() {
        return `0 0 ${this.props.labels.length * (BAR + GAP)} ${HEIGHT}`;
    }

    get bars() {
        const numbers = this.props.series.numbers;
        const most = Math.max(1, ...numbers);
        return numbers.map((number, slot) => {
            // Anything at all can be seen.
            const height = number ? Math.max(1.5, (number / most) * HEIGHT) : 0.4;
            return {
                key: slot,
                x: slot * (BAR + GAP),
                width: BAR,
                y: HEIGHT - height,
                height,
                empty: !number,
                title: `${this.label(slot)}: ${number}`,
            };
        });
    }

    label(slot) {
        const moment = deserializeDateTime(this.props.labels[slot]);
        const format = this.props.step >= 24 ? {format: "D"} : {format: "ff"};
        return moment.toFormat(format.format);
    }
}

/**
 * The first page: what needs me now, whether money moves, what is stuck.
 *
 * It looks again by itself and keeps what it shows until the new figures are there,
 * so that nothing flickers; when the server can't be reached it says how old they are.
 */
export class FinanceDashboard extends Component {
    static template = "finance_hub.Dashboard";
    static components = {Layout, TrendBars};
    static props = {...standardActionServiceProps};

    setup() {
        this.orm = useService("orm");
        this.action = useService("action");
        this.keepLast = new KeepLast();
        this.state = useState({data: null, stale: false});
        this.period = window.localStorage.getItem(PERIOD_KEY) || "day";
        this.display = {controlPanel: {}};
        onWillStart(() => this.load());
        const timer = window.setInterval(() => {
            if (document.visibilityState === "visible") {
                this.load();
            }
        }, REFRESH);
        onWillUnmount(() => window.clearInterval(timer));
    }

    get periods() {
        return [
            {key: "day", title: _t("24 hours")},
            {key: "week", title: _t("7 days")},
            {key: "month", title: _t("30 days")},
        ];
    }

    get asOf() {
        const data = this.state.data;
        return data ? formatDateTime(deserializeDateTime(data.as_of)) : "";
    }

    get nothingWaits() {
        return this.state.data.needs.every((tile) => !tile.number);
    }

    get stepsDone() {
        return this.state.data.checklist.filter((step) => step.done).length;
    }

    async load() {
        try {
            this.state.data = await this.keepLast.add(
                this.orm.silent.call("finance.dashboard", "load", [this.period])
            );
            this.state.stale = false;
        } catch (error) {
            // The first look has nothing to show instead.
            if (!this.state.data) {
                throw error;
            }
            this.state.stale = true;
        }
    }

    choosePeriod(period) {
        this.period = period;
        window.localStorage.setItem(PERIOD_KEY, period);
        return this.load();
    }

    open(action) {
        return this.action.doAction(action);
    }

    openRecord(model, id) {
        return this.action.doAction({
            type: "ir.actions.act_window",
            res_model: model,
            res_id: id,
            views: [[false, "form"]],
        });
    }

    bars(chart) {
        const hours = (chart && chart.hours) || [];
        const most = Math.max(1, ...hours.map((hour) => hour.delivered + hour.failed));
        return hours.map((hour, slot) => {
            const share = (count) => (count / most) * HEIGHT;
            const delivered = hour.delivered ? Math.max(1.5, share(hour.delivered)) : 0;
            const failed = hour.failed ? Math.max(1.5, share(hour.failed)) : 0;
            return {
                key: hour.at,
                x: slot * (BAR + GAP),
                width: BAR,
                delivered,
                failed,
                deliveredY: HEIGHT - delivered,
                failedY: Math.max(0, HEIGHT - delivered - failed),
            };
        });
    }

    chartBox(chart) {
        const hours = (chart && chart.hours) || [];
        return `0 0 ${Math.max(1, hours.length) * (BAR + GAP)} ${HEIGHT}`;
    }
}

registry.category("actions").add("finance_hub.dashboard", FinanceDashboard);
