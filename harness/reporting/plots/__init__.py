"""The plots of a report, as SVG that is legible on light and on dark pages."""
