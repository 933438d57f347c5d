/**
 * Rules for the addon's JavaScript, as in the OCA: modules of Odoo's web client.
 *
 * The packages live where `make lint` installs them; NODE_PATH says where.
 */
const js = require("@eslint/js");
const globals = require("globals");

module.exports = [
    {ignores: [".hub/**", "dist/**", "build/**", "**/node_modules/**", "**/lib/**"]},
    js.configs.recommended,
    {
        files: ["static/**/*.js"],
        languageOptions: {
            ecmaVersion: 2024,
            sourceType: "module",
            globals: {...globals.browser, luxon: "readonly", odoo: "readonly"},
        },
        rules: {
            "arrow-body-style": "off",
            "consistent-return": "error",
            curly: ["error", "all"],
            "dot-notation": "error",
            eqeqeq: "error",
            "no-console": "error",
            "no-else-return": "error",
            "no-eval": "error",
            "no-implicit-globals": "error",
            "no-shadow": "error",
            "no-undef": "error",
            "no-unused-vars": ["error", {argsIgnorePattern: "^_"}],
            "no-use-before-define": ["error", {functions: false}],
            "no-var": "error",
            "object-shorthand": "error",
            "prefer-const": "error",
        },
    },
    {
        files: ["static/tests/**/*.js"],
        rules: {"no-console": "off"},
    },
    {
        files: ["*.cjs"],
        languageOptions: {sourceType: "commonjs", globals: globals.node},
    },
];
