<?php
/**
 * What editor.js needs of WordPress.
 *
 * @package Warta
 */

return array(
	'dependencies' => array( 'wp-blocks', 'wp-element', 'wp-block-editor', 'wp-components', 'wp-server-side-render' ),
	'version'      => '1.0.0',
);
