"""The pages of the site: what stands on each, and its HTML; their templates, styles and scripts are in feeds/site/."""
