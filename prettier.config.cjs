/**
 * Formatting of XML, JavaScript and the like, as in the OCA.
 *
 * The plugin lives where `make lint` installs it; NODE_PATH says where.
 */
module.exports = {
    bracketSpacing: false,
    printWidth: 88,
    proseWrap: "always",
    semi: true,
    tabWidth: 4,
    trailingComma: "es5",
    xmlSelfClosingSpace: true,
    xmlWhitespaceSensitivity: "strict",
    plugins: [require.resolve("@prettier/plugin-xml")],
    overrides: [
        {
            files: ["*.yml", "*.yaml", "*.json", "*.css", "*.scss"],
            options: {tabWidth: 2},
        },
    ],
};
