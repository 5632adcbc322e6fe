// The block in the editor: a preview as visitors see it, and its settings beside it. Plain script, no build step.
( () => {
	'use strict';
	const { blocks, element, blockEditor, components, serverSideRender } = window.wp;
	const told = window.wartaList || { feeds: [], english: true };
	const say = ( indonesian, english ) => ( told.english ? english : indonesian );
	const create = element.createElement;

	const edit = ( { attributes, setAttributes } ) => {
		const set = ( name ) => ( value ) => setAttributes( { [ name ]: value } );
		const known = told.feeds.some( ( feed ) => feed.value === attributes.feed );
		const choices = known ? told.feeds : [ { value: attributes.feed, label: attributes.feed }, ...told.feeds ];
		const settings = create(
			components.PanelBody,
			{ title: say( 'Daftar', 'List' ) },
			create( components.SelectControl, {
				label: say( 'Umpan', 'Feed' ), value: attributes.feed, options: choices, onChange: set( 'feed' ),
			} ),
			create( components.RangeControl, {
				label: say( 'Banyaknya paket', 'Number of packages' ), value: attributes.items, min: 1, max: 50, onChange: set( 'items' ),
			} ),
			create( components.TextControl, {
				label: say( 'Judul di atas daftar', 'Title above the list' ), value: attributes.title, onChange: set( 'title' ),
			} ),
			create( components.RangeControl, {
				label: say( 'Diperbarui tiap … menit', 'Refreshed every … minutes' ), value: attributes.cache, min: 5, max: 240, onChange: set( 'cache' ),
			} )
		);
		return create(
			'div',
			blockEditor.useBlockProps(),
			create( blockEditor.InspectorControls, {}, settings ),
			create( components.Disabled, {}, create( serverSideRender, { block: 'warta/list', attributes } ) )
		);
	};

	blocks.registerBlockType( 'warta/list', { edit, save: () => null } );
} )();
