import {Component, onWillUnmount} from "@odoo/owl";
import {_t} from "@web/core/l10n/translation";
import {registry} from "@web/core/registry";
import {standardFieldProps} from "@web/views/fields/standard_field_props";

// Milliseconds between two looks while it runs.
const REFRESH = 2000;

/**
 * How far a bulk action is: a bar of what was done, skipped and could not be done,
 * which looks again by itself until it has ended.
 */
export class BulkProgress extends Component {
    static template = "finance_hub.BulkProgress";
    static props = {...standardFieldProps};

    setup() {
        this.loading = false;
        const timer = window.setInterval(() => this.look(), REFRESH);
        onWillUnmount(() => window.clearInterval(timer));
    }

    get data() {
        return this.props.record.data;
    }

    async look() {
        const running = this.data.state === "running";
        if (!running || this.loading || document.visibilityState !== "visible") {
            return;
        }
        this.loading = true;
        try {
            await this.props.record.load();
        } finally {
            this.loading = false;
        }
    }

    width(count) {
        return `width: ${this.data.total ? (100 * count) / this.data.total : 0}%`;
    }

    get text() {
        const {done_count, failed_count, skipped_count, total} = this.data;
        return _t(
            "%(done)s of %(total)s done, %(skipped)s skipped, %(failed)s failed",
            {
                done: done_count,
                total,
                skipped: skipped_count,
                failed: failed_count,
            }
        );
    }
}

registry.category("fields").add("finance_progress", {
    component: BulkProgress,
    supportedTypes: ["float"],
});
