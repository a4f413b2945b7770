"""The paper's theory figure: tables, then figures, then a page."""
