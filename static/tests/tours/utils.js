/**
 * What the tours share: steps in the words of a user.
 */

const row = (text) => `.o_list_renderer .o_data_row:contains("${text}")`;

/** Open the row of the list in which `text` stands. */
export const openRow = (text) => [
    {
        content: `Open the row of ${text}`,
        trigger: `${row(text)} .o_data_cell:contains("${text}")`,
        run: "click",
    },
    {
        content: `The form of ${text} is there`,
        trigger: ".o_form_view .o_form_renderer",
    },
];

/** Look for something that must be there. */
export const see = (trigger, content = `See ${trigger}`) => ({content, trigger});

/** See the list of a screen. */
export const seeRow = (text) => see(row(text), `See the row of ${text}`);

/** Press a button of the form by the method it calls. */
export const press = (method, within = ".o_form_view") => ({
    content: `Press ${method}`,
    trigger: `${within} button[name="${method}"]:enabled`,
    run: "click",
});

/** There is no such button. */
export const noButton = (method) => ({
    content: `There is no ${method}`,
    trigger: `.o_form_view:not(:has(button[name="${method}"]))`,
});

/** Say yes to the question a button asks. */
export const confirm = () => ({
    content: "Say yes",
    trigger: ".modal .modal-footer .btn-primary",
    run: "click",
});

/** See in which state the statusbar shows the record to be. */
export const seeState = (label) => ({
    content: `It is ${label}`,
    trigger:
        ".o_form_view .o_statusbar_status" +
        ` .o_arrow_button_current:contains("${label}")`,
});

/** Open a page of the notebook. */
export const openPage = (name, within = ".o_form_view") => ({
    content: `Open the page ${name}`,
    trigger: `${within} .o_notebook .nav-link[name="${name}"]`,
    run: "click",
});

/** Fill a field in. */
export const fill = (field, value, within = ".o_form_view") => ({
    content: `Fill in ${field}`,
    trigger: `${within} .o_field_widget[name="${field}"] :is(input, textarea)`,
    run: `edit ${value}`,
});

/** Choose a record by typing its name. */
export const choose = (field, text, within = ".o_form_view") => [
    {
        content: `Look for ${text}`,
        trigger: `${within} .o_field_widget[name="${field}"] input`,
        run: `edit ${text}`,
    },
    {
        content: `Choose ${text}`,
        trigger:
            ".o-autocomplete--dropdown-item a.dropdown-item" +
            `:not(:contains("Create")):contains("${text}")`,
        run: "click",
    },
];

/** Save the form, and wait until it is saved. */
export const save = () => [
    {
        content: "Save",
        trigger: ".o_form_view .o_form_button_save:enabled",
        run: "click",
    },
    {content: "It is saved", trigger: ".o_form_view .o_form_saved, .o_form_readonly"},
];

/** Wait until no dialog is open. */
export const noDialog = () => ({
    content: "No dialog is open",
    trigger: "body:not(:has(.modal))",
});
