import {Component} from "@odoo/owl";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

// In units of the picture, whatever its size on the screen.
const BAR = 4;
const GAP = 1;
const UP = 18;
const DOWN = 8;

/**
 * What was sent in each of the last hours: delivered upward, failed downward, so that
 * nobody needs to see colours to tell them apart.
 */
export class Sparkline extends Component {
    static template = "finance_hub.Sparkline";
    static props = {...standardFieldProps};

    get chart() {
        return this.props.record.data[this.props.name] || {title: "", hours: []};
    }

    get viewBox() {
        return `0 0 ${this.chart.hours.length * (BAR + GAP)} ${UP + DOWN}`;
    }

    get baseline() {
        return {y: UP, width: this.chart.hours.length * (BAR + GAP)};
    }

    get bars() {
        const hours = this.chart.hours;
        const most = Math.max(1, ...hours.map((hour) => hour.delivered));
        const worst = Math.max(1, ...hours.map((hour) => hour.failed));
        return hours.map((hour, place) => {
            // Anything at all can be seen.
            const height = (count, limit, room) =>
                count ? Math.max(1.5, (count / limit) * room) : 0;
            const up = height(hour.delivered, most, UP);
            return {
                key: hour.at,
                x: place * (BAR + GAP),
                width: BAR,
                up,
                top: UP - up,
                down: height(hour.failed, worst, DOWN),
                bottom: UP,
            };
        });
    }
}

registry.category("fields").add("finance_sparkline", {
    component: Sparkline,
    supportedTypes: ["json"],
    isEmpty: () => false,
});
